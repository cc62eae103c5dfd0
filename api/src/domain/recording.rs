//! Recordings: sessions folded from events, and finished files.
