import Testing
import Training

struct ParametersTests {
    @Test("tensors stand in the order of their names, with all their values")
    func order() throws {
        let parameters = try Parameters([
            Tensor(name: "b", shape: [2], values: [3, 4]),
            Tensor(name: "a", shape: [], values: [12]),
        ])
        #expect(parameters.flat == [12, 3, 4] && parameters.count == 3)
        #expect(parameters.norm == 13)
        #expect(parameters["b"]?.values == [3, 4] && parameters["c"] == nil)
        #expect(parameters.firstNonFinite == nil)
    }

    @Test("shapes are compared by name and side")
    func shapes() throws {
        func one(_ name: String, _ shape: [Int]) throws -> Parameters {
            try Parameters([Tensor(name: name, shape: shape, values: [0, 0])])
        }
        #expect(try one("a", [2]).hasSameShape(as: one("a", [2])))
        #expect(try !one("a", [2]).hasSameShape(as: one("a", [1, 2])))
        #expect(try !one("a", [2]).hasSameShape(as: one("b", [2])))
        #expect(try !one("a", [2]).hasSameShape(as: Parameters([])))
    }

    @Test(
        "what is not a number is found at its place", arguments: [Float.nan, .infinity, -.infinity])
    func nonFinite(value: Float) throws {
        let largest = Float.greatestFiniteMagnitude
        let parameters = try Parameters([
            Tensor(name: "a", shape: [3], values: [largest, -largest, .leastNonzeroMagnitude]),
            Tensor(name: "b", shape: [3], values: [0, 1, value]),
        ])
        let place = try #require(parameters.firstNonFinite)
        #expect(place.tensor == "b" && place.index == 2)
    }

    @Test("every refusal by name")
    func refusals() throws {
        for name in ["", "__metadata__", "a\n", "é", String(repeating: "a", count: 257)] {
            #expect(throws: ParametersError.badName(name)) {
                try Tensor(name: name, shape: [], values: [0])
            }
        }
        for shape in [[2], [-1, -1], [1 << 62, 4], [0]] {
            #expect(throws: ParametersError.shapeMismatch(tensor: "a", shape: shape, values: 1)) {
                try Tensor(name: "a", shape: shape, values: [0])
            }
        }
        let tensor = try Tensor(name: "a", shape: [], values: [0])
        #expect(throws: ParametersError.duplicateName("a")) { try Parameters([tensor, tensor]) }
    }
}
