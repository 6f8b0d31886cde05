//! Tests of the driver with simulated time, on a byte stream in memory.

mod pings;
mod signs_of_life;
