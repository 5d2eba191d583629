"""Mistakes in the command line, and the spellings that scripts depend on."""

import json
import subprocess
import sys

import pytest

from daos_control.proto.ctl import server_pb2, storage_pb2
from daos_control.proto.mgmt import pool_pb2, system_pb2
from daos_control.system.pool_properties import by_name
from fake_dmg import run_dmg

GROUPS = "cert, config, network, pool, server, server-version, storage, system or version"
SIZES = "use (--scm-size and --nvme-size) or (--meta-size and --data-size) or (--size)"

LABEL = (
    'a label has 1 to 127 characters out of letters, digits, ".", "_", ":" and "-", '
    "and does not have the form of a uuid"
)
MISTAKES = [
    ("foo", f"Unknown command `foo'. Please specify one command of: {GROUPS}"),
    ("", f"Please specify one command of: {GROUPS}"),
    ("pool creat", "Unknown command `creat', did you mean `create'?"),
    ("network", "Please specify the scan command"),
    ("pool query", "the required argument `<pool label or UUID>` was not provided"),
    (
        "pool set-prop",
        "the required arguments `<pool label or UUID>` and `<key:val[,key:val1[;val2...]...]>` were not provided",
    ),
    ("pool set-prop x", "the required argument `<key:val[,key:val1[;val2...]...]>` was not provided"),
    ("storage scan --bogus", "unknown flag `bogus'"),
    ("-x", "unknown flag `x'"),
    ("storage scan extra", "unexpected arguments: extra"),
    ("pool create --size", "expected argument for flag `-z, --size'"),
    ("pool query --show-enabled=true x", "bool flag `-e, --show-enabled' cannot have an argument"),
    ("pool create -z abc x", 'invalid argument for flag `-z, --size\': invalid size "abc"'),
    ("pool create x", f"unsupported option combination, {SIZES}"),
    ("pool create -z 5 -s 4 x", f"unsupported option combination, {SIZES}"),
    ("pool create -n 5G x", "--nvme-size cannot be set without --scm-size"),
    ("pool create -t 5 -z 50% x", "--size=% may not be mixed with --tier-ratio"),
    ("pool create -k 5 -z 50% x", "--size=% may not be mixed with --nranks"),
    ("pool create -z 4G -k 2 -r 1 x", "--nranks may not be mixed with --ranks"),
    ("pool create -s 4G --mem-ratio 50 x", "--mem-ratio may not be mixed with --scm-size or --nvme-size"),
    ("pool create -P label:bar -z 4G x", "can't set label property with label argument"),
    ("pool query a,b", 'invalid label "a,b"'),
    ("pool create -z 4G a,rd_fac:1", f"invalid value for pool property label: invalid label 'a,rd_fac:1': {LABEL}"),
    ("pool set-prop x perf_domain:root", "can't set perf_domain on existing pool."),
    ("storage scan -vn", "cannot use --verbose with --nvme-health"),
    ("storage format --force --replace", "--replace may not be mixed with --force"),
    (
        "storage format --replace",
        "command expects a single host in hostlist if replace option used",
    ),
    ("storage query usage --mem-ratio 4", "--mem-ratio is only supported with --show-usable flag"),
    ("system stop --force --full", "system stop failed: --force may not be mixed with --full"),
    (
        "system query --not-ok --with-states joined",
        "system query failed: --not-ok and --with-states options cannot be set together",
    ),
    (
        "system query -r 1 --rank-hosts a",
        "system query failed: --ranks and --rank-hosts options cannot be set together",
    ),
    ("system set-attr foo", 'invalid property "foo" (must be key:val)'),
    ("system set-prop a:b", "invalid system property key: a"),
    ("-l host1 system query", "unknown flag `l'/`host-list'"),
]


@pytest.mark.parametrize(("args", "text"), MISTAKES, ids=[args or "nothing" for args, _ in MISTAKES])
def test_mistake_is_explained_and_asks_no_server(args: str, text: str) -> None:
    run = run_dmg(*args.split())
    assert (run.err, run.code, run.requests) == (f"ERROR: dmg: {text}\n", 1, [])


def test_a_pool_without_a_label_is_not_asked_for() -> None:
    run = run_dmg("pool", "create", "-z", "4G", "")
    assert (run.err, run.code, run.requests) == ("ERROR: dmg: a pool cannot be created without a label\n", 1, [])


@pytest.mark.parametrize("args", ["-j foo", "foo -j", "pool query -j", "-ij pool create x"])
def test_mistake_is_also_told_in_json(args: str) -> None:
    run = run_dmg(*args.split())
    envelope = json.loads(run.out)
    assert envelope["status"] == -1025
    assert run.err == f"ERROR: dmg: {envelope['error']}\n"


@pytest.mark.parametrize(
    "args", ["-j pool list", "pool -j list", "pool list -j", "pool ls --json", "sys list-pools -j"]
)
def test_json_can_be_asked_for_anywhere(args: str) -> None:
    run = run_dmg(*args.split(), ListPools=pool_pb2.ListPoolsResp())
    assert json.loads(run.out)["response"] == {"status": 0, "pools": None}


def test_options_may_follow_arguments_and_short_ones_take_an_equals_sign() -> None:
    reply = pool_pb2.PoolCreateResp(tgt_ranks=[0], tier_bytes=[1, 0])
    run = run_dmg("pool", "create", "p1", "-z=2GiB", "-v=3", "-r", "0-1", PoolCreate=reply)
    (request,) = run.requests
    assert run.code == 0
    assert (request.total_bytes, request.num_svc_reps, list(request.ranks)) == (2 << 30, 3, [0, 1])
    assert list(request.tier_ratio) == [0.06, 0.94]


def test_short_option_of_a_command_wins_over_the_global_one() -> None:
    run = run_dmg("server", "slm", "-d", "md", SetEngineLogMasks=server_pb2.SetLogMasksResp())
    (request,) = run.requests
    assert (request.streams, request.reset_masks, request.reset_streams) == ("md", True, False)
    assert run.out == "Engine log-masks updated successfully on the following host: 127.0.0.1:10001\n"


def test_host_list_before_the_command_still_works() -> None:
    reply = storage_pb2.StorageScanResp()
    run = run_dmg("-l", "h[1-3]", "storage", "scan", StorageScan=reply)
    assert len(run.requests) == 3
    assert run.out.splitlines()[2].startswith("h[1-3] ")


def test_properties_of_a_new_pool_are_sent_by_number() -> None:
    reply = pool_pb2.PoolCreateResp(tgt_ranks=[0], tier_bytes=[1, 0])
    run = run_dmg("pool", "create", "-s", "1G", "-P", "reclaim:time,rf:1", "p1", PoolCreate=reply)
    (request,) = run.requests
    sent = {p.number: p.strval or p.numval for p in request.properties}
    assert sent == {by_name("reclaim").number: 4, by_name("rd_fac").number: 1, by_name("label").number: "p1"}
    assert list(request.tier_bytes) == [10**9, 0]


def test_states_and_ranks_of_a_query_are_sent_as_given() -> None:
    reply = system_pb2.SystemQueryResp(sys_self_heal_policy="exclude;pool_exclude;pool_rebuild")
    run = run_dmg("sys", "query", "-r", "0-3,5", "--with-states", "joined,Errored", SystemQuery=reply)
    (request,) = run.requests
    assert (request.ranks, request.state_mask) == ("0-3,5", 0x88)
    assert run.out == "Query matches no ranks in system\n"


def test_absent_ranks_fail_the_query_after_its_table() -> None:
    reply = system_pb2.SystemQueryResp(
        members=[system_pb2.SystemMember(rank=0, state="joined")],
        absentranks="5",
        absenthosts="h9:10001",
        sys_self_heal_policy="none",
    )
    run = run_dmg("system", "query", "-r", "0,5", SystemQuery=reply)
    assert run.out == (
        "Rank State        \n---- -----        \n0    Joined       \n5    Unknown Rank \n\n"
        "System property self_heal flags disabled: exclude, pool_exclude, pool_rebuild\n"
    )
    assert run.err == (
        "ERROR: Unknown 1 host: h9:10001\n"
        "ERROR: dmg: system query failed: non-existent hosts h9:10001, non-existent ranks 5\n"
    )
    assert run.code == 1


def test_help_of_every_command_is_shown_without_loading_grpc_or_rich() -> None:
    script = (
        "import sys\n"
        "from daos_control.cli import dmg\n"
        "for words in ([], ['pool'], ['pool', 'create'], ['pool', 'list'], ['system', 'query'],\n"
        "              ['storage', 'format'], ['network', 'scan'], ['server', 'set-logmasks'],\n"
        "              ['system', 'get-prop'], ['cert', 'init'], ['server-version'], ['version']):\n"
        "    assert dmg.run([*words, '--help']) == 0, words\n"
        "loaded = {'grpc', 'rich', 'google.protobuf', 'cryptography', 'pydantic', 'asyncio'} & set(sys.modules)\n"
        "print(loaded, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    assert "Usage: dmg" in done.stdout
