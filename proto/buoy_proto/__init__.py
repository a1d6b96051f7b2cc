"""buoy's protobuf messages. `buoy_proto.v1` has the message classes of package `buoy.v1`."""
