//! http/api
