/**
 * Attacks on the light client, on the simulated street: real headers, signatures, deals and contacts, in virtual time. maple,
 * who sells to cedar over L1, is attacked while energy flows. Each time the contacts open, the health has an entry, and
 * what lies on maple's disk proves what happened: judged here with node:crypto and the ledger itself. And each time, with
 * its one defence out, it does not go so.
 */
import { createPublicKey, verify as verifyEd25519 } from 'node:crypto'
import type { Seams } from '../../../agent/compose.ts'
import {
  credulous,
  dealsOf,
  disturbed,
  flowingDeal,
  healthOf,
  type MakeFault,
  notFlowing,
  openedAfter,
  opensInTime,
  VICTIM,
  waitFor,
} from '../../../hw/bench/fault-tools.ts'
import type { Stage } from '../../../hw/bench/stage.ts'
import { runCase } from '../../../hw/sim/fault-run.ts'
import { benchSeed } from '../../../hw/sim/street.ts'
import { equalBytes, fromUtf8, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { FLAG_COMMIT, voteSignBytes } from '../../../protocol/chain/commit.ts'
import { parseEvidence } from '../../../protocol/chain/evidence-json.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { Header, LightBlock } from '../../../protocol/chain/light-block.ts'
import { parseLightBlock } from '../../../protocol/chain/rpc-json.ts'
import { totalPower } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('attacks on the light client')

const { line: LINE, seller: SELLER } = VICTIM
const DEADLINE_MS = 120_000

// --- The judge: what a file on the victim's disk proves, without the light client's own code.

// biome-ignore lint/suspicious/noExplicitAny: files as a stranger reads them.
type Json = any

/** Addresses of those whose vote for the block stands in its commit, by node:crypto. */
function signersOf({ header, commit, validators }: LightBlock): readonly string[] {
  return commit.signatures.flatMap((vote, i) => {
    const { address, publicKey } = validators[i]!
    if (vote.flag !== FLAG_COMMIT || !equalBytes(vote.validatorAddress, address)) return []
    const spki = Buffer.concat([hex('302a300506032b6570032100'), publicKey])
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    return verifyEd25519(null, voteSignBytes(header.chainId, commit, vote), key, vote.signature) ? [toHex(address)] : []
  })
}

/** Whether more than two thirds have signed this very header. */
const isCommitted = (block: LightBlock): boolean => {
  const signers = signersOf(block)
  const power = totalPower(block.validators.filter(one => signers.includes(toHex(one.address))))
  return (
    equalBytes(hashHeader(block.header), block.commit.blockId.hash) && power * 3n > totalPower(block.validators) * 2n
  )
}

async function filesOf(bench: Stage, prefix: string): Promise<readonly Json[]> {
  const disk = must(await bench.stateOf(SELLER))
  const names = must(await disk.list()).filter(name => name.startsWith(prefix))
  return Promise.all(names.map(async name => JSON.parse(fromUtf8(must(await disk.read(name)))!)))
}

/** Two chains, each committed by its validators at one height, and one of them the ledger's. */
async function provesTwoChains(bench: Stage, kind: string): Promise<boolean> {
  const [file] = await filesOf(bench, `light-evidence-${kind}-`)
  if (file === undefined) return false
  const blocks = [file.primary_block, file.witness_block].map(json => must(parseLightBlock(json)))
  const hashes = blocks.map(({ header }) => toHex(hashHeader(header)))
  const [height] = blocks.map(({ header }) => header.height)
  const stands = toHex(hashHeader(bench.running.producer.block(height!)!.header))
  const both = signersOf(blocks[0]!).filter(one => signersOf(blocks[1]!).includes(one))
  const accused = must(parseEvidence(file.against_primary))
  return (
    blocks.every(({ header }) => header.height === height) &&
    hashes[0] !== hashes[1] &&
    hashes.includes(stands) &&
    blocks.every(isCommitted) &&
    both.length * 3 > blocks[0]!.validators.length &&
    accused.kind === 'light-client-attack' &&
    accused.byzantine.length > 0 &&
    (kind !== 'equivocation' || file.double_votes.length === both.length)
  )
}

// --- The attackers

/** From height `from` on the validators sign another block than the ledger's, as the one that is handed out. */
function forger(bench: Stage, from: bigint, change: Partial<Header>) {
  const signers = Array.from({ length: 8 }, (_, i) => bench.signer(benchSeed(bench.seed, `validator ${i}`)))
  return async (block: LightBlock): Promise<LightBlock> => {
    if (block.header.height < from) return block
    const header = { ...block.header, ...change }
    const hash = hashHeader(header)
    const unsigned = { ...block.commit, blockId: { hash, partSetHeader: { total: 1, hash: sha256(hash) } } }
    const signatures = await Promise.all(
      unsigned.signatures.map(async (vote, i) => {
        const signer = signers.find(one => equalBytes(one.publicKey, block.validators[i]!.publicKey))!
        return { ...vote, signature: signer.signNow(voteSignBytes(header.chainId, unsigned, vote)) }
      }),
    )
    return { ...block, header, commit: { ...unsigned, signatures } }
  }
}

/** Every source is the primary: nobody is there to contradict it. */
function alone(): Seams {
  return {
    world: world => {
      let primary: string | undefined
      return {
        ...world,
        openLedger: url => {
          primary ??= url
          return world.openLedger(primary)
        },
      }
    },
  }
}

const newest = (bench: Stage): bigint => bench.running.producer.status().height
const healthIn = (bench: Stage, code: RegExp) => () =>
  code.test(healthOf(bench.running.agents.get(SELLER), 'light')?.code ?? '')

interface Attack {
  readonly seams: () => Seams
  strike(bench: Stage): void | Promise<void>
  /** Within which contacts have to open, from the strike. */
  readonly withinMs?: number
  /** The entry in the health. */
  readonly health: RegExp
  proven(bench: Stage): Promise<boolean>
}

/** Strikes while energy flows on L1: the contacts open, the health says why, the disk proves it, the others go on. */
const opens =
  ({ seams, strike, withinMs, health, proven }: Attack): MakeFault =>
  (off, street) => ({
    seamsOf: site => (off && site === SELLER ? seams() : undefined),
    async strike() {
      const bench = street()
      const target = await flowingDeal(bench, LINE)
      if (target === undefined) return notFlowing(LINE)
      const { running } = bench
      const seen: string[] = []
      running.agents.get(SELLER)!.light.onHealth(({ state, fault }) => seen.push(`${state} ${fault?.code}`))
      const at = running.clock.mono()
      await strike(bench)
      // A new block is there, and put before the client now rather than at its next look.
      await running.timers.sleep(1_100)
      const looked = running.clock.mono()
      if (withinMs === undefined) await running.agents.get(SELLER)!.light.follow()
      let openMs: number | undefined
      if (withinMs === undefined) openMs = await opensInTime(bench, LINE, looked)
      else {
        await waitFor(bench, () => openedAfter(bench, LINE, at) !== undefined, withinMs)
        openMs = openedAfter(bench, LINE, at)
        if (openMs !== undefined && openMs > withinMs) openMs = undefined
      }
      const said = seen.some(one => health.test(one)) || healthIn(bench, health)()
      const why = running.agents
        .get(SELLER)!
        .trading.deals()
        .find(({ runner }) => toHex(runner.deal().hash) === target.hash)
      const own = why?.runner.deal().cause?.code
      await running.timers.sleep(5_000)
      const proof = await proven(bench)
      const trouble = disturbed(target)
      return {
        outcome: `contacts ${openMs === undefined ? 'did not open' : `open after ${openMs} ms (${own})`}, health ${said ? 'says so' : `says ${seen.join(', ')}`}, ${proof ? 'proven on disk' : 'nothing proven'}, others ${trouble?.code ?? 'go on'}`,
        asExpected: openMs !== undefined && said && proof && trouble === undefined,
      }
    },
  })

const believing = (): Seams => ({ world: world => ({ ...world, verifier: credulous }) })

const ATTACKS: Readonly<Record<string, MakeFault>> = {
  'a full node that lies': opens({
    seams: believing,
    strike: bench => {
      bench.struck(SELLER).primary.forge = 'signature'
    },
    health: /light\.signature/,
    async proven(bench) {
      const [file] = await filesOf(bench, 'light-evidence-block-')
      if (file === undefined) return false
      const block = must(parseLightBlock(file.light_block))
      // The header is the ledger's, and yet one of the votes under it was never cast: nobody but the node can have done it.
      const real = bench.running.producer.lightBlock(block.header.height)!
      return (
        signersOf(block).length < signersOf(real).length &&
        equalBytes(hashHeader(block.header), hashHeader(real.header))
      )
    },
  }),

  'a majority of the validators that signs a fork': opens({
    seams: alone,
    strike: bench => {
      bench.struck(SELLER).primary.alter = forger(bench, newest(bench) + 1n, {
        appHash: sha256(utf8('another ledger')),
      })
    },
    health: /diverged light\.diverged/,
    proven: bench => provesTwoChains(bench, 'lunatic'),
  }),

  'validators that sign two blocks of one height and round': opens({
    seams: alone,
    strike: bench => {
      bench.struck(SELLER).primary.alter = forger(bench, newest(bench) + 1n, {
        dataHash: sha256(utf8('other transactions')),
      })
    },
    health: /diverged light\.diverged/,
    proven: bench => provesTwoChains(bench, 'equivocation'),
  }),

  'a node, and its like, that hides new blocks': opens({
    // Without it the light client believes that what it has is new, however old.
    seams: () => ({ light: light => ({ ...light, health: () => ({ state: 'ok', since: light.health().since }) }) }),
    strike: bench => {
      const { primary, witnesses } = bench.struck(SELLER)
      primary.withholdAfter = newest(bench)
      witnesses.withholdAfter = newest(bench)
    },
    // The configuration's staleness and a look, then the interlock.
    withinMs: 15_000 + 1_000 + 2_000,
    health: /stale light\.stale/,
    async proven(bench) {
      // The witnesses had it all the time: they give it out now.
      bench.struck(SELLER).witnesses.withholdAfter = undefined
      await bench.running.timers.sleep(40_000)
      const [note] = await filesOf(bench, 'light-note-stale-')
      const [file] = await filesOf(bench, 'light-note-withheld-')
      if (note === undefined || file === undefined) return false
      const block = must(parseLightBlock(file.light_block))
      const real = bench.running.producer.block(block.header.height)!
      return (
        isCommitted(must(parseLightBlock(note.light_block))) &&
        isCommitted(block) &&
        equalBytes(hashHeader(block.header), hashHeader(real.header)) &&
        BigInt(file.claimed_height) < block.header.height &&
        Date.parse(file.asked_at) - instantOf(block.header.time) > 10_000
      )
    },
  }),
}

for (const [name, make] of Object.entries(ATTACKS))
  for (const defenceOff of [false, true])
    test(
      `${name}${defenceOff ? ', with the defence out' : ''}`,
      async () => {
        const { outcome, as_expected } = await runCase(make, { seed: 3, defenceOff })
        assert.is(as_expected, !defenceOff, outcome)
      },
      DEADLINE_MS,
    )

/** Witnesses that take questions and never answer: what runs finishes, nothing new is believed. */
const stalling: MakeFault = (off, street) => ({
  seamsOf: site => (off && site === SELLER ? alone() : undefined),
  async strike() {
    const bench = street()
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    const { running } = bench
    const at = running.clock.mono()
    const proven = () =>
      running.agents
        .get(SELLER)!
        .trading.deals()
        .filter(({ runner }) => runner.lockProof() !== undefined)
    const known = new Set(proven().map(({ runner }) => runner))
    bench.struck(SELLER).witnesses.silent = true
    const raised = await waitFor(bench, healthIn(bench, /light\.no-witness/), 40_000)
    await waitFor(bench, () => openedAfter(bench, LINE, at) !== undefined, 90_000)
    const own = dealsOf(running).filter(({ runner }) => toHex(runner.deal().hash) === target.hash)
    const trouble = disturbed({ ...target, others: [...target.others, ...own] })
    const believed = raised && proven().some(({ runner }) => !known.has(runner))
    const [note] = await filesOf(bench, 'light-note-no-witness-')
    const noted = note !== undefined && isCommitted(must(parseLightBlock(note.light_block)))
    return {
      outcome: `${raised ? 'warned' : 'not warned'}, ${trouble === undefined ? 'running deals finished' : `a running deal was stopped by ${trouble.code}`}, ${believed ? 'a new payment was believed' : 'nothing new was believed'}, ${noted ? 'noted' : 'not noted'}`,
      asExpected: raised && trouble === undefined && !believed && noted,
    }
  },
})

for (const defenceOff of [false, true])
  test(
    `witnesses that stall${defenceOff ? ', with the defence out' : ''}`,
    async () => {
      const { outcome, as_expected } = await runCase(stalling, { seed: 3, defenceOff })
      assert.is(as_expected, !defenceOff, outcome)
    },
    DEADLINE_MS,
  )

test.run()
