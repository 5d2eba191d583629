"""Texts as ipmctl and ndctl print them, and short ways to regions and namespaces."""

from daos_control.storage.pmem.model import Health, KernelRegion, Namespace, Region, RegionKind, Survey

GIB = 1 << 30
MIB = 1 << 20

DIMMS = """\
<?xml version="1.0"?>
 <DimmList>
  <Dimm>
   <DimmID>0x1001</DimmID>
   <Capacity>502.599 GiB</Capacity>
   <HealthState>Healthy</HealthState>
   <FWVersion>01.02.00.5446</FWVersion>
   <PhysicalID>0x0035</PhysicalID>
   <DimmUID>8089-a2-2012-00002f4a</DimmUID>
   <SocketID>0x0001</SocketID>
   <MemControllerID>0x0000</MemControllerID>
   <ChannelID>0x0002</ChannelID>
   <ChannelPos>1</ChannelPos>
   <PartNumber>NMB1XXD512GPS</PartNumber>
  </Dimm>
  <Dimm>
   <DimmID>0x0001</DimmID>
   <Capacity>126.742 GiB</Capacity>
   <HealthState>Minor Failure</HealthState>
   <FWVersion>01.02.00.5446</FWVersion>
   <PhysicalID>0x0021</PhysicalID>
   <DimmUID>8089-a2-2012-00001c03</DimmUID>
   <SocketID>0x0000</SocketID>
   <MemControllerID>0x0001</MemControllerID>
   <ChannelID>0x0000</ChannelID>
   <ChannelPos>1</ChannelPos>
   <PartNumber>NMB1XXD128GPS</PartNumber>
  </Dimm>
 </DimmList>
"""

REGIONS = """\
<?xml version="1.0"?>
<RegionList>
<Region>
<SocketID>0x0000</SocketID>
<PersistentMemoryType>AppDirect</PersistentMemoryType>
<Capacity>1008.000 GiB</Capacity>
<FreeCapacity>1008.000 GiB</FreeCapacity>
<HealthState>Healthy</HealthState>
<DimmID>0x0001, 0x0011</DimmID>
<RegionID>0x0001</RegionID>
<ISetID>0x2aba7f4828ef2ccc</ISetID>
</Region>
<Region>
<SocketID>0x0001</SocketID>
<PersistentMemoryType>AppDirectNotInterleaved</PersistentMemoryType>
<Capacity>0.500 TiB</Capacity>
<FreeCapacity>0 B</FreeCapacity>
<HealthState>Locked</HealthState>
<DimmID>0x1001</DimmID>
<RegionID>0x0002</RegionID>
<ISetID>0x81187f4881f02ccc</ISetID>
</Region>
</RegionList>
"""

NAMESPACES = """\
[
  {
    "dev":"namespace1.0",
    "mode":"fsdax",
    "map":"dev",
    "size":532708065280,
    "uuid":"73840bf1-4e5c-4ba8-a9bd-1a6ba9a3d4b1",
    "raw_uuid":"2f0b6d4a-7b79-4a47-8cb6-a59e2a7c5a87",
    "sector_size":512,
    "align":2097152,
    "blockdev":"pmem1",
    "numa_node":1,
    "target_node":3
  },
  {
    "dev":"namespace1.1",
    "size":0,
    "uuid":"00000000-0000-0000-0000-000000000000",
    "state":"disabled",
    "numa_node":1
  },
  {
    "dev":"namespace0.0",
    "mode":"devdax",
    "map":"dev",
    "size":532708065280,
    "uuid":"18ae1bbb-bb62-4efc-86df-4a5caacb5dcc",
    "chardev":"dax0.0",
    "state":"disabled",
    "numa_node":-1
  }
]
"""

KERNEL_REGIONS = """\
[
  {
    "dev":"region1",
    "size":541165879296,
    "align":16777216,
    "available_size":0,
    "max_available_extent":0,
    "type":"pmem",
    "numa_node":1,
    "target_node":3,
    "iset_id":-9144539640143434548,
    "persistence_domain":"memory_controller",
    "namespaces":[{"dev":"namespace1.0","mode":"raw","size":541165879296,"sector_size":512,"blockdev":"pmem1"}]
  },
  {
    "dev":"region0",
    "size":541165879296,
    "available_size":541165879296,
    "type":"pmem",
    "iset_id":3078867226139471052,
    "mappings":[{"dimm":"nmem1","offset":268435456,"length":270582939648},{"dimm":"nmem0","offset":0,"length":1}],
    "persistence_domain":"memory_controller",
    "state":"disabled"
  },
  {
    "dev":"region7",
    "size":1024,
    "available_size":0,
    "type":"blk"
  }
]
"""

NO_REGIONS_FOR_SOCKET = """\
<?xml version="1.0"?>
<Results>
<Result>
</Result>
</Results>
"""


def region(socket: int = 0, free: int = 8 * GIB, **changes: object) -> Region:
    values = {"kind": RegionKind.APP_DIRECT, "capacity": 8 * GIB, "health": Health.HEALTHY, "iset_id": socket + 100}
    return Region(socket_id=socket, free=free, **(values | changes))  # type: ignore[arg-type]


def kernel_region(number: int = 0, available: int = 8 * GIB, **changes: object) -> KernelRegion:
    values = {"size": 8 * GIB, "unit": 16 * MIB, "numa_node": number, "iset_id": number + 100}
    values |= {"modules": (f"nmem{number}",)}
    return KernelRegion(name=f"region{number}", available=available, **(values | changes))  # type: ignore[arg-type]


def namespace(name: str = "0.0", *, mode: str = "fsdax", uuid: str = "u", enabled: bool = True) -> Namespace:
    suffix = name if not name.endswith(".0") else name[:-2]
    return Namespace(f"namespace{name}", f"pmem{suffix}", uuid, int(name[0]), 4 * GIB, mode, enabled)


def optane(*regions: Region, spaces: tuple[KernelRegion, ...] = (), names: tuple[str, ...] = ()) -> Survey:
    """A host of Optane modules; one kernel region for each region unless they are given."""
    kernel = spaces or tuple(kernel_region(r.socket_id, r.free) for r in regions)
    return Survey(True, regions, kernel, tuple(namespace(name) for name in names))
