/** How one ledger believes another: by the light client's rules, from an anchor, and no longer than that holds. */
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { encodeLightBlock } from '../../../protocol/chain/light-block-proto.ts'
import { createApp, resumeApp } from '../../../protocol/ledger/app.ts'
import { checkGenesis } from '../../../protocol/ledger/genesis.ts'
import { FOLLOWED, MAX_FOLLOWED, PEERS } from '../../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { members } from '../light/chain-maker.ts'
import { BEGIN, CHAIN_ID, genesis, nameOf, operator, type Party, signTx, stranger } from './parties.ts'
import { anchorOf, type Chain, followOf, NET_ID, Street, TRUSTING_MS } from './two-ledgers.ts'

const test = suite('ledgers that follow each other')

function refused(chain: Chain, expected: string, sender: Party, content: TxContent): void {
  const outcome = chain.send(sender, content)
  assert.is(nameOf(outcome), expected, outcome.log)
}

const newest = (chain: Chain) => chain.blocks.at(-1)!

test('nothing is believed before the operator has named an anchor, and then only the block that it names', () => {
  const street = new Street({ bare: true })
  const { energy, net } = street
  street.pass(1000)
  refused(net, 'ledger.light-block', stranger, followOf(energy.blocks[0]!))
  refused(net, 'ledger.operator-only', stranger, anchorOf(energy.blocks[0]!))
  net.take(operator, anchorOf(energy.blocks[0]!))
  refused(net, 'ledger.light-block', stranger, followOf(energy.blocks[1]!))
  refused(net, 'ledger.light-block', stranger, followOf(energy.fork(1n)))
  net.take(stranger, followOf(energy.blocks[0]!))
  net.take(stranger, followOf(energy.blocks[1]!))
  assert.equal(net.peer().heights, [1n, 2n])
})

test('an anchor that nobody can bring a block for is named again', () => {
  const { energy, net } = new Street({ bare: true })
  net.take(operator, anchorOf(energy.fork(1n)))
  refused(net, 'ledger.light-block', stranger, followOf(energy.blocks[0]!))
  net.take(operator, anchorOf(energy.blocks[0]!))
  net.take(stranger, followOf(energy.blocks[0]!))
  refused(net, 'ledger.peer-alive', operator, anchorOf(energy.blocks[0]!))
})

test('a genesis may name the anchor itself', () => {
  const { energy } = new Street({ bare: true })
  const { height } = energy.blocks[0]!.header
  const anchor = { height, hash: energy.blocks[0]!.commit.blockId.hash }
  const terms = { trustingPeriodMs: TRUSTING_MS, maxClockDriftMs: 10_000, relayMarginMs: 0 }
  const own = { ...genesis, chainId: NET_ID, peers: [{ chainId: CHAIN_ID, ...terms, anchor }] }
  const app = createApp(own)
  const tx = signTx(stranger, 0n, followOf(energy.blocks[0]!), { chainId: NET_ID })
  const verifier = { verify: () => true }
  assert.is(nameOf(app.checkTx(tx, verifier)), 'taken')
  const code = (change: Partial<typeof own> & { readonly reserveOn?: string }) => {
    const checked = checkGenesis({ ...own, ...change })
    return checked.ok ? 'ok' : checked.fault.code
  }
  assert.is(code({}), 'ok')
  assert.is(code({ reserveOn: CHAIN_ID }), 'ok')
  assert.is(code({ reserveOn: NET_ID }), 'genesis.peer')
  assert.is(code({ peers: [...own.peers, ...own.peers] }), 'genesis.peer')
  assert.is(code({ peers: [{ ...own.peers[0]!, chainId: NET_ID }] }), 'genesis.peer')
  assert.is(code({ peers: [{ ...own.peers[0]!, chainId: 'a chain' }] }), 'genesis.peer')
  assert.is(code({ peers: [{ ...own.peers[0]!, trustingPeriodMs: 0 }] }), 'genesis.peer')
})

test('each header once, only newer ones, of a chain that is known, in bytes that are a light block', () => {
  const street = new Street()
  const { energy, net } = street
  net.take(stranger, followOf(newest(energy)))
  refused(net, 'ledger.light-height', stranger, followOf(newest(energy)))
  refused(net, 'ledger.light-height', stranger, followOf(energy.blocks[2]!))
  refused(net, 'ledger.peer-unknown', stranger, followOf(newest(net)))
  refused(net, 'ledger.light-block', stranger, { kind: 'follow', body: { block: Uint8Array.of(0) } })
  energy.block([])
  const { header, commit, validators } = newest(energy)
  const all = encodeLightBlock({ header, commit, validators })
  refused(net, 'ledger.light-block', stranger, { kind: 'follow', body: { block: all.subarray(0, all.length - 1) } })
  const unsigned = commit.signatures.map(vote => ({ ...vote, signature: new Uint8Array(64).fill(7) }))
  refused(
    net,
    'ledger.light-block',
    stranger,
    followOf({ header, commit: { ...commit, signatures: unsigned }, validators }),
  )
  net.take(stranger, followOf({ header, commit, validators }))
})

test('a header from the future waits', () => {
  const { energy, net } = new Street()
  energy.block([], 60_000)
  refused(net, 'ledger.light-block', stranger, followOf(newest(energy)))
  net.block([], 60_000)
  net.take(stranger, followOf(newest(energy)))
})

test('validators that changed are followed block by block; without the step between, the power is not enough', () => {
  const street = new Street({ energyGroup: height => (height < 20 ? members(4) : members(4, 50)) })
  const { energy, net } = street
  while (energy.blocks.length < 25) street.pass(1000)
  refused(net, 'ledger.light-power', stranger, followOf(newest(energy)))
  net.take(stranger, followOf(energy.blocks[18]!))
  refused(net, 'ledger.light-power', stranger, followOf(newest(energy)))
  net.take(stranger, followOf(energy.blocks[19]!))
  net.take(stranger, followOf(newest(energy)))
})

test('no bit of a light block can be changed so that another header is believed', () => {
  const street = new Street()
  const { energy, net } = street
  street.pass(1000)
  const block = newest(energy)
  const good = encodeLightBlock(block)
  const mutants = Array.from({ length: good.length }, (_, byte) => {
    const bytes = good.slice()
    bytes[byte]! ^= 1 << (byte % 8)
    return signTx(stranger, net.sequence(stranger), { kind: 'follow', body: { block: bytes } }, { chainId: NET_ID })
  })
  const heights = net.peer().heights.length
  const taken = net.block(mutants).filter(({ code }) => code === 0).length
  // A changed vote beyond the two thirds that count changes nothing that is believed.
  assert.ok(taken <= 1)
  const { header, commit } = block
  const followed = net.record(FOLLOWED, `${CHAIN_ID}/${header.height}`)
  assert.ok(followed === undefined || equalBytes(followed.hash, commit.blockId.hash))
  assert.is(net.peer().heights.length, heights + taken)
  assert.is(net.peer().frozen, undefined)
})

test('a chain that was not followed for the trusting period is anchored anew, and its old headers are forgotten', () => {
  const street = new Street()
  const { energy, net } = street
  refused(net, 'ledger.peer-alive', operator, anchorOf(newest(energy)))
  street.pass(TRUSTING_MS)
  refused(net, 'ledger.light-block', stranger, followOf(newest(energy)))
  refused(net, 'ledger.operator-only', stranger, anchorOf(newest(energy)))
  refused(net, 'ledger.peer-unknown', operator, anchorOf(newest(net)))
  net.take(operator, anchorOf(newest(energy)))
  assert.equal(net.peer().heights, [])
  assert.is(net.record(FOLLOWED, `${CHAIN_ID}/1`), undefined)
  net.take(stranger, followOf(newest(energy)))
  net.books()
})

test('a bounded number of headers is kept, the oldest is forgotten', () => {
  const street = new Street()
  const { energy, net } = street
  const before = net.peer().heights.length
  for (let i = 0; i < MAX_FOLLOWED - before + 3; i++) {
    energy.block([])
    net.take(stranger, followOf(newest(energy)))
  }
  const { heights } = net.peer()
  assert.is(heights.length, MAX_FOLLOWED)
  assert.is(net.record(FOLLOWED, `${CHAIN_ID}/1`), undefined)
  assert.is(heights.at(-1), newest(energy).header.height)
  net.books()
})

test('a divergence at a height between two followed ones freezes too, and a saved state stays frozen', () => {
  const street = new Street()
  const { energy, net } = street
  for (let i = 0; i < 3; i++) {
    street.pass(1000)
    net.take(stranger, followOf(newest(energy)))
  }
  const [, middle] = net.peer().heights.slice(-3)
  net.take(stranger, followOf(energy.fork(middle!)))
  const { frozen } = net.peer()
  assert.is(frozen!.height, middle)
  assert.is(toHex(frozen!.followed), toHex(energy.blocks[Number(middle) - 1]!.commit.blockId.hash))
  const saved = [...net.app.entries(net.app.height)!]
  assert.ok(saved.some(([key]) => Buffer.from(key).toString() === PEERS.prefix + CHAIN_ID))
  const resumed = must(resumeApp({ entries: saved, headerHashes: net.blocks.map(one => one.commit.blockId.hash) }))
  assert.ok(equalBytes(resumed.appHash, net.app.appHash))
  const tx = signTx(stranger, net.sequence(stranger), followOf(newest(energy)), { chainId: NET_ID })
  assert.is(nameOf(resumed.checkTx(tx, { verify: () => true })), 'ledger.peer-frozen')
})

test('a fork below everything that is followed says nothing that can be verified', () => {
  const street = new Street()
  const { energy, net } = street
  assert.equal(net.peer().heights, [1n])
  refused(net, 'ledger.light-block', stranger, followOf(energy.fork(1n)))
  assert.is(net.peer().frozen, undefined)
  assert.ok(net.time > BEGIN)
})

test.run()
