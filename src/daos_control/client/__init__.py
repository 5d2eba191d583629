"""The control API: what `dmg` does, as an asynchronous and typed Python library.

    async with Client(client_credentials(transport), hosts=["server[1-4]"]) as client:
        for member in (await system.query(client)).members:
            print(member.rank, member.state)

`connection` has the Client; one module per area has its calls: `system`, `attributes`, `pool`, `pool_create`,
`storage`, `network`, `server`. Requests to the management service find its leader and are repeated while that may
help (`ms`, `retry`); requests to many hosts give one result for each (`fanout`). `join`, `events` and `ranks` are
what servers ask of each other. What can go wrong is in `errors`.
"""
