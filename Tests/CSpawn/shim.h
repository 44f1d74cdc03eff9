#include <spawn.h>

// In glibc from 2.34 on; its header shows it to those alone that define _GNU_SOURCE.
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
