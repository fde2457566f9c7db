"""Thin Cython over the C core: convert, never decide. One module a handle; `core.pxd` is the one description of the C surface."""
