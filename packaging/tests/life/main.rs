//! The life of the packages on fresh systems of Debian 12 and 13: installed, set up, hurt, upgraded, removed.

mod harness;
