"""Wire protocols of the TK103 family: bytes in, values out; no I/O, no clock of their own."""
