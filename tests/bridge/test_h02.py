from datetime import UTC, datetime
from bridge.protocols import h02
from bridge.protocols.connection import Connection
AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
def listen(*chunks, datagrams=False):
    c=Connection((h02.PROTOCOL,),datagrams=datagrams); ev=[]
    for x in chunks:
        c.receive_data(x); ev+=c.events(AT)
    c.receive_eof()
    return [*ev, *c.events(AT)]
