"""HTTP/3 at the endpoints: our own carrying of datagrams around aioquic's protocol. Imported when it is listened for.

Hypercorn has one too, which buffers what a slow reader does not take, is not told of streams that a visitor resets, and ends
with the first exception of any visitor.
"""
