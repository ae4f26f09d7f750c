/** `npm run bench:light`: what the light client reaches, each figure beside its floor measured in the same run. */
import { createHash, createPublicKey, verify as opensslVerify, randomBytes } from 'node:crypto'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { concat, hex, utf8 } from '../../protocol/bytes.ts'
import { encodeCommit, voteSignBytes } from '../../protocol/chain/commit.ts'
import { encodeHeader } from '../../protocol/chain/header.ts'
import { SMT_SPEC, verifyMembership } from '../../protocol/chain/ics23.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { encodeLightBlock } from '../../protocol/chain/light-block-proto.ts'
import { lightBlockJson, parseLightBlock } from '../../protocol/chain/rpc-json.ts'
import { createStateTree } from '../../protocol/chain/smt.ts'
import { compactProof } from '../../protocol/chain/smt-compact.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { dealKey } from '../../protocol/ledger/deal-record.ts'
import { startBisection, takeBlock } from '../../protocol/light/bisect.ts'
import { type VerifiedHeader, verify, verifyBackwards } from '../../protocol/light/verify.ts'
import { must } from '../../protocol/result.ts'
import { contractHash, encodeContract } from '../../protocol/trade/contract.ts'
import { Bench, buyer, commitOf, terms } from '../protocol/ledger/parties.ts'
import { anchored, makeChain, members, nextBlock, OPTIONS, timeAt } from '../protocol/light/chain-maker.ts'
import { accountEntry } from './accounts.ts'
import { measureMemory } from './board-memory.ts'
import { type Contestant, race } from './measure.ts'
import { type BenchOptions, floorOf, type Row, rateRow, runBench } from './report.ts'

const options = { ...OPTIONS, trustingPeriodMs: 30 * 86_400_000 }
const verifier = createVerifier()

/** As from the network: nothing is shared between two blocks. */
const received = (block: LightBlock): LightBlock =>
  must(parseLightBlock(JSON.parse(JSON.stringify(lightBlockJson(block)))))

const chainOf = (validators: number, heights: number): readonly LightBlock[] => {
  const group = members(validators)
  return makeChain({ heights, group: () => group }).map(received)
}

/** The signatures of a chain, and OpenSSL alone on them: the floor under every header. */
function rawSignatures(chain: readonly LightBlock[]): Contestant {
  const keys = chain[0]!.validators.map(({ publicKey }) =>
    createPublicKey({
      key: Buffer.from(concat(hex('302a300506032b6570032100'), publicKey)),
      format: 'der',
      type: 'spki',
    }),
  )
  const all = chain.slice(0, 64).flatMap(({ header, commit }) =>
    commit.signatures.map((vote, i) => ({
      message: voteSignBytes(header.chainId, commit, vote),
      key: keys[i]!,
      signature: vote.signature,
    })),
  )
  return {
    name: 'OpenSSL',
    run() {
      for (const { message, key, signature } of all) {
        if (!opensslVerify(null, message, key, signature)) throw new Error('a good signature was refused')
      }
      return all.length
    },
  }
}

function adjacent(name: string, chain: readonly LightBlock[]): Contestant {
  const now = timeAt(chain.length + 1)
  let trusted = anchored(chain[0]!, now, verifier, options)
  let at = 1
  return {
    name,
    run() {
      if (at === chain.length) {
        trusted = anchored(chain[0]!, now, verifier, options)
        at = 1
      }
      const verdict = verify(trusted, chain[at++]!, options, now, verifier)
      if (verdict.kind !== 'trusted') throw new Error(verdict.kind)
      trusted = verdict.block
      return 1
    },
  }
}

/** Votes that are looked at before more than two thirds have signed. */
const votesNeeded = (validators: number): number => Math.floor((validators * 2) / 3) + 1

const SIZES = [
  { validators: 4, heights: 1000, asked: '2,500' },
  { validators: 21, heights: 300, asked: undefined },
  { validators: 100, heights: 100, asked: '125' },
] as const

async function adjacentRows({ effort, quick }: BenchOptions): Promise<readonly Row[]> {
  const chains = SIZES.map(size => ({ ...size, chain: chainOf(size.validators, quick ? 50 : size.heights) }))
  const names = SIZES.map(({ validators }) => `${validators} validators`)
  const timed = await race(
    [rawSignatures(chains[0]!.chain), ...chains.map(({ chain }, i) => adjacent(names[i]!, chain))],
    effort,
  )
  const floor = timed.get('OpenSSL')!
  return SIZES.map(({ validators, asked }, i) => {
    const reached = timed.get(names[i]!)!
    return rateRow(
      {
        id: `adjacent.${validators}`,
        what: `adjacent headers, ${validators} validators`,
        unit: 'headers/s',
        ...(asked === undefined ? {} : { asked }),
        floor: floorOf('Ed25519 by node:crypto', 'verifications/s', floor, votesNeeded(validators), reached),
      },
      reached,
    )
  })
}

/** Hashes of a header's tree when nothing of it is known: 14 leaves and 13 inner nodes. */
const HEADER_HASHES = 27

async function backwardsRows({ effort, quick }: BenchOptions): Promise<readonly Row[]> {
  const chain = chainOf(4, quick ? 200 : 2000)
  const now = timeAt(chain.length + 1)
  const newest: VerifiedHeader = anchored(chain.at(-1)!, now, verifier, options)
  const inner = randomBytes(65)
  const many = (hash: () => unknown) => () => {
    for (let i = 0; i < 1000; i++) hash()
    return 1000
  }
  const timed = await race(
    [
      { name: 'node:crypto', run: many(() => createHash('sha256').update(inner).digest()) },
      { name: 'noble', run: many(() => nobleSha256(inner)) },
      { name: 'ours', run: many(() => sha256(inner)) },
      {
        name: 'backwards',
        run() {
          let trusted = newest
          for (let i = chain.length - 2; i >= 0; i--)
            trusted = must(verifyBackwards(trusted, chain[i]!.header, options))
          return chain.length - 1
        },
      },
    ],
    effort,
  )
  const reached = timed.get('backwards')!
  const node = timed.get('node:crypto')!
  return [
    rateRow(
      {
        id: 'backwards',
        what: 'backwards headers',
        unit: 'headers/s',
        asked: '25,000',
        floor: floorOf('SHA-256 of 65 bytes by node:crypto', 'hashes/s', node, HEADER_HASHES, reached),
        note: 'leaves equal to the last header’s are not hashed again, hence above 100 %',
      },
      reached,
    ),
    rateRow({ id: 'sha256.node', what: 'SHA-256 of 65 bytes, node:crypto', unit: 'hashes/s' }, node),
    rateRow({ id: 'sha256.noble', what: 'SHA-256 of 65 bytes, noble', unit: 'hashes/s' }, timed.get('noble')!),
    rateRow({ id: 'sha256.ours', what: 'SHA-256 of 65 bytes, ours', unit: 'hashes/s' }, timed.get('ours')!),
  ]
}

const FAR = 1_000_000

/** One step over a million blocks of an unchanged set: how often it fetches, and what the answer weighs. */
function skipRows(): readonly Row[] {
  return ([4, 100] as const).flatMap((validators): Row[] => {
    const group = members(validators)
    const plan = { heights: FAR + 1, group: () => group }
    const first = nextBlock(undefined, plan, 1)
    const far = received(nextBlock(first, plan, FAR + 1))
    const now = timeAt(FAR + 2)
    // The ground is as old as a million blocks of a second, twelve days: within the trusting period.
    let step = startBisection(anchored(received(first), timeAt(2), verifier, options), far.header.height)
    let fetched = 0
    while (step.kind === 'fetch') {
      fetched++
      step = takeBlock(step.state, far, options, now, verifier)
    }
    if (step.kind !== 'done') throw new Error(step.fault.code)
    const what = `skip of ${FAR.toLocaleString('en')} blocks, ${validators} validators`
    const json = utf8(JSON.stringify(lightBlockJson(far))).length
    return [
      { id: `skip.${validators}.steps`, what, value: fetched, unit: 'blocks fetched', asked: '1' },
      {
        id: `skip.${validators}.bytes`,
        what: `${what}, the answer`,
        value: encodeLightBlock(far).length,
        unit: 'bytes',
        asked: validators === 4 ? '2 kB' : '19 kB',
        note: `as protobuf; ${json.toLocaleString('en')} as the RPC's JSON`,
      },
    ]
  })
}

/** A locked deal among as many accounts, and its header: what an agent is shown before it closes a relay. */
async function escrowRows({ effort, quick }: BenchOptions): Promise<readonly Row[]> {
  const keys = quick ? 10_000 : 1_000_000
  const bench = new Bench()
  bench.send(buyer, commitOf(terms))
  const key = utf8(dealKey(contractHash(encodeContract(terms))))
  const deal = bench.app.query(key, bench.app.height)!.value!

  const tree = createStateTree(2)
  function* entries() {
    for (let i = 1; i < keys; i++) yield accountEntry(i)
  }
  tree.fill(entries())
  const appHash = tree.commit(1n, [[key, deal]])
  const snapshot = tree.at(1n)!
  const proof = snapshot.prove(key)
  const compact = must(compactProof(proof, key))

  const group = members(4)
  const chain = makeChain({ heights: 3, group: () => group, appHash: () => appHash })
  const now = timeAt(4)
  const ground = anchored(chain[1]!, now, verifier, options)
  const under = chain[2]!
  const header = encodeHeader(under.header).length
  const commit = encodeCommit(under.commit).length
  const timed = await race(
    [
      { name: 'prove', run: () => snapshot.prove(key).length && 1 },
      {
        name: 'check',
        run() {
          const verdict = verify(ground, under, options, now, verifier)
          if (verdict.kind !== 'trusted') throw new Error(verdict.kind)
          must(verifyMembership(SMT_SPEC, verdict.block.header.appHash, proof, key, deal))
          return 1
        },
      },
    ],
    effort,
  )
  const at = `at ${keys.toLocaleString('en')} keys`
  const millis = (name: string) => {
    const { median, lowest, highest, samples, clock } = timed.get(name)!
    return { value: 1000 / median, lowest: 1000 / highest, highest: 1000 / lowest, unit: 'ms', samples, clock }
  }
  return [
    {
      id: 'escrow.compact',
      what: `escrow proof ${at}`,
      value: compact.length,
      unit: 'bytes',
      asked: '700',
      note: `compact; ${proof.length} as ICS-23, where 950 are asked`,
    },
    {
      id: 'escrow.answer',
      what: `escrow, whole answer ${at}`,
      value: header + commit + deal.length + compact.length,
      unit: 'bytes',
      asked: '2,000',
      note: `header ${header}, commit of 4 ${commit}, deal ${deal.length}, compact proof ${compact.length}`,
    },
    { id: 'escrow.check', what: `escrow, header and proof checked ${at}`, asked: '5', ...millis('check') },
    { id: 'escrow.prove', what: `escrow, proof made ${at}`, ...millis('prove') },
  ]
}

await runBench(
  'bench:light',
  'What the light client reaches: headers a second adjacent and backwards, a skip over a million blocks, a proof of escrow, memory.',
  async bench => [
    ...(await adjacentRows(bench)),
    ...(await backwardsRows(bench)),
    ...skipRows(),
    ...(await escrowRows(bench)),
    ...(await measureMemory(bench)),
  ],
)
