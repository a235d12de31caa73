"""One module a command or group of commands; each adds its own to the command line in `add`."""
