"""The public test kit: real loopback targets that behave well or badly on purpose. Nothing shipped imports it."""
