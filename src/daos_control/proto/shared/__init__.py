"""Generated from proto/ by `./dev proto`; do not edit by hand."""
