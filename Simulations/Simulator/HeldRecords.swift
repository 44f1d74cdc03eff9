import Cryptography
import Ledger
import Training
import Wire

extension Disk {
    /// Keeps records before they are registered, as the patients' file does.
    func keep(_ records: [HeldRecord]) throws {
        try write { tables in
            tables.records.removeAll { old in records.contains { $0.item == old.item } }
            tables.records.append(contentsOf: records)
            tables.records.sort { $0.item < $1.item }
        }
    }
}

/// Canonical bytes of a record of one drawn feature: the same name, the same content.
func recordContent(_ name: String, features: [String]) throws -> [UInt8] {
    try canonicalRecord(
        features: features.map { feature in
            let bits = named("\(feature) of \(name)").prefix(3).reduce(Int32(0)) {
                $0 << 8 | Int32($1)
            }
            // 24 bits fit a Float32, so that two contents differ when their names do.
            return (name: feature, value: Float(bits - 1 << 23) / Float(1 << 22))
        })
}

/// A site's update: a delta of the model's shape, drawn by the names of round and site.
///
/// It is not trained: `exp` differs by machine, and a seed must give the same digest everywhere.
func drawnUpdate(_ name: String, of base: Parameters) throws -> [UInt8] {
    var tensors: [Tensor] = []
    for tensor in base.tensors {
        let values = tensor.values.indices.map { index in
            Float(Int(named("\(tensor.name) \(index) of \(name)")[0]) - 128) / 64
        }
        tensors.append(try Tensor(name: tensor.name, shape: tensor.shape, values: values))
    }
    return try Safetensors(Parameters(tensors)).encoded()
}
