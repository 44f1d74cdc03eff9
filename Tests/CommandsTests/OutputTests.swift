import Commands
import Testing

@Suite("What people see of others' words")
struct OutputTests {
    @Test("what somebody wrote moves no cursor and begins no line of its own")
    func foreign() {
        let text = "it is a vessel\nsite/west  \u{1B}[31mred"
        let shown = "it is a vessel\\u{A}site/west  \\u{1B}[31mred"
        var table = Table("reason", "by")
        table.add(text, "site/east")
        let space = String(repeating: " ", count: shown.count - "reason".count)
        #expect(table.text == "reason\(space)  by\n\(shown)  site/east")
        #expect(fields([("reason", text), ("by", "x")]) == "reason  \(shown)\nby      x")
    }
}
