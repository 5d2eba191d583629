"""Ask libfabric which providers work with which domains. A program of its own: what providers do when they are
loaded must neither crash, nor stop, nor print into anything of ours.

Run with the file's path; imports nothing of ours. Prints one JSON list of [provider, domain, endpoint type, address
format] in libfabric's order, and exits 0; exits 3 where there is no libfabric, or no cffi to call it with.
"""

import json
import os
import sys

NO_LIBRARY = 3

# The beginnings of libfabric's structures, which its ABI keeps. <rdma/fabric.h>
_DECLARATIONS = """
struct fi_ep_attr { int type; };
struct fi_domain_attr { void *domain; char *name; };
struct fi_fabric_attr { void *fabric; char *name; char *prov_name; };
struct fi_info {
    struct fi_info *next;
    uint64_t caps;
    uint64_t mode;
    uint32_t addr_format;
    size_t src_addrlen;
    size_t dest_addrlen;
    void *src_addr;
    void *dest_addr;
    void *handle;
    void *tx_attr;
    void *rx_attr;
    struct fi_ep_attr *ep_attr;
    struct fi_domain_attr *domain_attr;
    struct fi_fabric_attr *fabric_attr;
};
uint32_t fi_version(void);
int fi_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags, const struct fi_info *hints,
               struct fi_info **info);
void fi_freeinfo(struct fi_info *info);
"""

_API_VERSION = 1 << 16 | 9  # 1.9, the oldest that DAOS works with


def main(library: str) -> int:
    """Print what there is; the process's own standard output is kept for that."""
    try:
        import cffi  # type: ignore[import-untyped]
    except ImportError:
        return NO_LIBRARY
    answer = os.dup(1)
    os.dup2(2, 1)  # providers may print
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    try:
        lib = ffi.dlopen(library)
    except OSError:
        return NO_LIBRARY
    first = ffi.new("struct fi_info **")
    status = lib.fi_getinfo(min(_API_VERSION, lib.fi_version()), ffi.NULL, ffi.NULL, 0, ffi.NULL, first)
    found = []
    info = first[0] if status == 0 else ffi.NULL
    while info != ffi.NULL:
        if info.fabric_attr != ffi.NULL and info.domain_attr != ffi.NULL and info.ep_attr != ffi.NULL:
            names = (info.fabric_attr.prov_name, info.domain_attr.name)
            if ffi.NULL not in names:
                provider, domain = (ffi.string(name).decode("utf-8", "replace") for name in names)
                found.append([provider, domain, info.ep_attr.type, info.addr_format])
        info = info.next
    with os.fdopen(answer, "w") as stream:
        json.dump(found, stream)
    os._exit(0)  # destructors of providers have been seen to hang


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
