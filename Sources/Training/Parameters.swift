/// Why named tensors are not the parameters of a model.
package enum ParametersError: Error, Hashable, Sendable {
    /// Not 1 to 256 printable ASCII characters, or the name that safetensors keeps for itself.
    case badName(String)
    case duplicateName(String)
    /// The shape has another number of elements than there are values, or none that fits.
    case shapeMismatch(tensor: String, shape: [Int], values: Int)
}

/// Named float32 values of one shape, row-major.
package struct Tensor: Hashable, Sendable {
    package let name: String
    package let shape: [Int]
    package internal(set) var values: [Float]

    package init(name: String, shape: [Int], values: [Float]) throws(ParametersError) {
        guard Self.isName(name) else { throw .badName(name) }
        guard elementCount(of: shape) == values.count else {
            throw .shapeMismatch(tensor: name, shape: shape, values: values.count)
        }
        self.name = name
        self.shape = shape
        self.values = values
    }

    /// A tensor whose parts are known to fit.
    init(known name: String, shape: [Int], values: [Float]) {
        self.name = name
        self.shape = shape
        self.values = values
    }

    static func isName(_ name: String) -> Bool {
        (1...256).contains(name.utf8.count) && name != "__metadata__"
            && name.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }
}

/// The number of elements of a shape; 1 for a scalar's empty shape.
///
/// - Returns: nil for a negative side or a product beyond `Int`.
func elementCount(of shape: [Int]) -> Int? {
    var count = 1
    for side in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: side)
        guard side >= 0, !overflow else { return nil }
        count = product
    }
    return count
}

/// Whether any value is NaN or infinite.
///
/// Adding one to the exponent of |v| reaches the sign bit only when it was all ones; one pass of
/// integer operations that the compiler turns into vectors.
func containsNonFinite(_ values: [Float]) -> Bool {
    values.withUnsafeBufferPointer { values in
        var seen: UInt32 = 0
        for value in values { seen |= (value.bitPattern & 0x7FFF_FFFF) &+ 0x0080_0000 }
        return seen & 0x8000_0000 != 0
    }
}

/// The parameters of a model, or a change of them: named tensors in ascending order of name.
package struct Parameters: Hashable, Sendable {
    package internal(set) var tensors: [Tensor]

    /// Sorts the tensors by the bytes of their names.
    package init(_ tensors: [Tensor]) throws(ParametersError) {
        let sorted = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.name == next.name {
            throw .duplicateName(one.name)
        }
        self.tensors = sorted
    }

    /// Tensors known to be sorted and of different names.
    init(sorted tensors: [Tensor]) { self.tensors = tensors }

    package subscript(name: String) -> Tensor? { tensors.first { $0.name == name } }

    /// All values together.
    package var count: Int { tensors.reduce(0) { $0 + $1.values.count } }

    /// All values one after the other, in the order of tensors.
    package var flat: [Float] { tensors.flatMap(\.values) }

    package func hasSameShape(as other: Self) -> Bool {
        tensors.elementsEqual(other.tensors) { $0.name == $1.name && $0.shape == $1.shape }
    }

    /// √Σv² in Float64, values added in order, since every site must get the same bits.
    package var norm: Double {
        var sum = 0.0
        for tensor in tensors {
            tensor.values.withUnsafeBufferPointer { values in
                for value in values { sum += Double(value) * Double(value) }
            }
        }
        return sum.squareRoot()
    }

    /// The first value that is NaN or infinite.
    package var firstNonFinite: (tensor: String, index: Int)? {
        for tensor in tensors where containsNonFinite(tensor.values) {
            guard let index = tensor.values.firstIndex(where: { !$0.isFinite }) else { continue }
            return (tensor.name, index)
        }
        return nil
    }
}
