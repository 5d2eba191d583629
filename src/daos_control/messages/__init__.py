"""The domain's own types to and from protobuf messages, which stop at the handlers."""
