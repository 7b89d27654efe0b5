//! http/edge
