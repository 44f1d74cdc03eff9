// Nothing to call: the library is loaded into a process with LD_PRELOAD, see faults.c.
