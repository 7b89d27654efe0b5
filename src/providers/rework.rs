//! Changes of messages and answers that rows name.
