import CSpawn
import Glibc

/// A process could not be started, did not end, or did not print what was waited for.
package struct ProcessFault: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// What a new process gets for its first three descriptors; it gets no other.
struct Descriptors {
    let input: Int32
    let output: Int32
    let errors: Int32
}

/// Starts a program as this process's child.
///
/// Every descriptor of ours but the three is closed in it: a pipe or a lock that leaked into a
/// worker would be held for as long as the worker lives. Its signals are as a shell would leave
/// them, whatever the test runner blocks or ignores.
///
/// - Parameters:
///   - path: of the program.
///   - arguments: without the program's own name.
///   - environment: all of it.
///   - descriptors: are ours to close afterwards.
/// - Returns: the id of the process.
/// - Throws: ``ProcessFault``.
func spawn(
    _ path: String, _ arguments: [String], environment: [String: String],
    descriptors: Descriptors
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_adddup2(&actions, descriptors.input, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, descriptors.output, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, descriptors.errors, STDERR_FILENO)
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)
    var signals = sigset_t()
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
    let variables = environment.map { "\($0)=\($1)" }
    return try withCStrings([path] + arguments) { argv in
        try withCStrings(variables) { envp in
            var id: pid_t = 0
            let code = posix_spawn(&id, path, &actions, &attributes, argv, envp)
            guard code == 0 else {
                throw ProcessFault(
                    "\(path) could not be started: \(String(cString: strerror(code)))")
            }
            return id
        }
    }
}

/// The strings as C wants them: an array of pointers with nil at its end.
private func withCStrings<Value>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) throws -> Value
) rethrows -> Value {
    let pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return try body(pointers)
}
