-- Lua here runs inside Prosody, which gives every module these globals.
std = "lua54"
max_line_length = 140
files["**/prosody/"] = { globals = { "module" }, read_globals = { "prosody" } }
