import Ledger
import TestSupport
import Testing
import Training

struct AggregationTests {
    func site(_ name: String) -> AccountID { AccountID(.site, name) }

    func parameters(_ values: [Float], name: String = "w") throws -> Parameters {
        try Parameters([Tensor(name: name, shape: [values.count], values: values)])
    }

    func drawn(_ count: Int, using random: inout SplitMix64) throws -> Parameters {
        let split = count / 3
        let values = (0..<count).map { _ in Float.random(in: -3...3, using: &random) }
        return try Parameters([
            Tensor(name: "a", shape: [split], values: Array(values[..<split])),
            Tensor(name: "b", shape: [count - split], values: Array(values[split...])),
        ])
    }

    @Test("the same bits as the formula written out", arguments: UInt64(0)..<30)
    func agreesWithFormula(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let base = try drawn(100, using: &random)
        let sites = try (0..<7).map { index in
            (
                name: site("s\(index)"), weight: UInt64.random(in: 1...999, using: &random),
                update: try drawn(100, using: &random)
            )
        }
        // Sites arrive in any order; whoever aggregates sorts them first.
        let arrived = sites.shuffled(using: &random).sorted { $0.name < $1.name }
        var mean = WeightedMean(base: base)
        for site in arrived { try mean.add(site.update, weight: site.weight, from: site.name) }
        let result = try mean.result()
        let total = sites.reduce(0) { $0 + $1.weight }
        #expect(mean.totalWeight == total && result.hasSameShape(as: base))
        for (index, value) in result.flat.enumerated() {
            var sum = 0.0
            for site in sites { sum += Double(site.weight) * Double(site.update.flat[index]) }
            let expected = Float(Double(base.flat[index]) + sum / Double(total))
            #expect(value.bitPattern == expected.bitPattern, "replay with seed \(seed)")
        }
    }

    @Test("the order of sites decides bits, so another one is refused")
    func ascendingSites() throws {
        var mean = WeightedMean(base: try parameters([0]))
        try mean.add(parameters([1]), weight: 1, from: site("b"))
        for name in ["a", "b"] {
            #expect(throws: AggregationError.notAscending(site(name))) {
                try mean.add(parameters([1]), weight: 1, from: site(name))
            }
        }
        try mean.add(parameters([4]), weight: 2, from: site("c"))
        #expect(try mean.result().flat == [3])
    }

    @Test("every refusal by name, and what was added stays")
    func refusals() throws {
        let a = site("a")
        var mean = WeightedMean(base: try parameters([1, 2]))
        #expect(throws: AggregationError.noUpdates) { try mean.result() }
        #expect(throws: AggregationError.shapeMismatch(a)) {
            try mean.add(parameters([1]), weight: 1, from: a)
        }
        #expect(throws: AggregationError.zeroWeight(a)) {
            try mean.add(parameters([1, 1]), weight: 0, from: a)
        }
        #expect(throws: AggregationError.weightOverflow(a)) {
            try mean.add(parameters([1, 1]), weight: 1 << 53, from: a)
        }
        #expect(throws: AggregationError.notFinite(a, tensor: "w", index: 1)) {
            try mean.add(parameters([1, .nan]), weight: 1, from: a)
        }
        #expect(throws: AggregationError.noUpdates) { try mean.result() }
        try mean.add(parameters([2, 4]), weight: 1, from: a)
        #expect(throws: AggregationError.weightOverflow(site("b"))) {
            try mean.add(parameters([1, 1]), weight: .max, from: site("b"))
        }
        #expect(try mean.result().flat == [3, 6])
    }

    @Test("a model beyond Float32 is refused by place")
    func resultOverflow() throws {
        let most = Float.greatestFiniteMagnitude
        var mean = WeightedMean(base: try parameters([0, most]))
        try mean.add(parameters([0, most]), weight: 3, from: site("a"))
        #expect(throws: AggregationError.resultNotFinite(tensor: "w", index: 1)) {
            try mean.result()
        }
    }

    @Test("an update is screened for shape, numbers and length, in that order")
    func screening() throws {
        let base = try parameters([0, 0])
        #expect(throws: Never.self) { try screen(parameters([3, 4]), base: base, normBound: 5) }
        #expect(throws: UpdateRefusal.normAboveBound(norm: 5, bound: 4.99)) {
            try screen(parameters([3, 4]), base: base, normBound: 4.99)
        }
        #expect(throws: UpdateRefusal.self) {
            try screen(parameters([3, 4]), base: base, normBound: .nan)
        }
        #expect(throws: UpdateRefusal.notFinite(tensor: "w", index: 1)) {
            try screen(parameters([900, .infinity]), base: base, normBound: 5)
        }
        #expect(throws: UpdateRefusal.wrongShape(tensor: "w", expected: [2], found: [3])) {
            try screen(parameters([3, 4, .nan]), base: base, normBound: 5)
        }
        #expect(throws: UpdateRefusal.wrongShape(tensor: "v", expected: nil, found: [2])) {
            try screen(parameters([3, 4], name: "v"), base: base, normBound: 5)
        }
        #expect(throws: UpdateRefusal.wrongShape(tensor: "w", expected: [2], found: nil)) {
            try screen(parameters([3, 4], name: "x"), base: base, normBound: 5)
        }
        #expect(
            "\(UpdateRefusal.wrongShape(tensor: "w", expected: [2], found: [3]))"
                == "tensor w of the update has shape [3], the model's has [2]")
        let bytes = try Safetensors(parameters([3, 4])).encoded()
        #expect(try screenedUpdate(bytes, base: base, normBound: 5).flat == [3, 4])
        let cut = Array(bytes.dropLast())
        #expect(throws: UpdateRefusal.malformed(.dataLength(needed: 8, found: 7))) {
            try screenedUpdate(cut, base: base, normBound: 5)
        }
    }
}
