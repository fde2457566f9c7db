"""Thin Cython over the C core: convert, never decide. One module a handle; `core.pxd` alone describes the C surface."""
