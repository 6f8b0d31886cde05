//! Procedural macros of the Volt SDK: clients for your own `.proto` files and typed SQL rows will live here.
