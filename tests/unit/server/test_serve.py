"""What faults may not cut is known before any can begin."""

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import AuditSettings
from meshkit_fastprobe.server.listen import TcpAddress, UnixAddress
from meshkit_fastprobe.server.serve import ways_to


def test_the_ways_to_a_host_its_audit_and_what_is_named_are_protected():
    settings = fp.Settings(
        host="h1",
        chaos=fp.ChaosSettings(protected=("10.0.0.9:2379", "pay-*")),
        audit=AuditSettings(copy_to=("syslog:udp:10.0.0.7:514", "syslog:/dev/log", "file:/x")),
    )
    assert ways_to(settings, TcpAddress("127.0.0.1", 9464)) == ("127.0.0.1:9464", "10.0.0.7:514", "10.0.0.9:2379")
    assert ways_to(fp.Settings(host="h1"), UnixAddress("/run/x")) == ()
