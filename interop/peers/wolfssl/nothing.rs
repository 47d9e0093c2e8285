//! A package must have something to compile; this one is there for its dependency's files.
