import Contracts
import Ledger
import TestSupport
import Testing

import Federation

struct BlockWalkTests {
    @Test("a peer that alternates a known block and another branch is left after one way back")
    func circles() throws {
        var chain = try ProvenChain()
        for _ in 0..<4 { try chain.append() }
        let genesis = Tip(genesis: chain.genesis)
        let block = chain.blocks[3]
        let head = Tip(
            slot: block.slot, hash: block.hash, timeMilliseconds: 0, log: genesis.log,
            terms: genesis.terms)
        var walk = BlockWalk(from: head)
        var (rounds, known) = (0, 0)
        // It says "another branch", then shows the first block again, for ever.
        while rounds < 100 {
            rounds += 1
            guard walk.turnBack(to: genesis) else { break }
            while walk.advance(to: chain.blocks[0]) { known += 1 }
        }
        #expect(rounds == 2 && known == 1)
        // An honest one shows each block once, from the settled one on.
        var honest = BlockWalk(from: head)
        let isBack = honest.turnBack(to: genesis)
        #expect(isBack)
        for block in chain.blocks {
            let isNext = honest.advance(to: block)
            #expect(isNext && honest.hash == block.hash && honest.height == block.height)
        }
        let isAgain = honest.advance(to: block)
        #expect(!isAgain, "a block is not its own child")
        var settled = BlockWalk(from: genesis)
        let turns = settled.turnBack(to: genesis)
        #expect(!turns, "nothing is below the settled block")
    }
}
