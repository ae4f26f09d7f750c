/** A ledger and whoever meets on it: real blocks, light clients, accounts and letters, in simulated time. */
import { createLightAgent } from '../../../agent/light/run.ts'
import type { LedgerView, Part } from '../../../agent/roles/part.ts'
import { createLedgerAccount } from '../../../agent/trading/account.ts'
import { createPost, type Post } from '../../../agent/trading/post.ts'
import type { Producer } from '../../../agent/validator/producer.ts'
import type { LedgerRpc, Signer } from '../../../drivers/ports.ts'
import { openHeaderStore } from '../../../drivers/store/headers.ts'
import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { createSimRpc } from '../../../hw/sim/ledger-rpc.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import type { Table } from '../../../protocol/ledger/table.ts'
import { decodeAs } from '../../../protocol/record.ts'
import type { Fault } from '../../../protocol/result.ts'
import { must, ok } from '../../../protocol/result.ts'
import { CHAIN_ID, type Party, verifier } from '../../protocol/ledger/parties.ts'
import { makeProducer } from '../validator/street.ts'

/** Seconds of blocks are the same to these parts as half minutes, and cost thirty times as much. */
const BLOCK_MS = 30_000

export interface Villager {
  readonly name: string
  readonly party: Party
  readonly signer: Signer
  readonly energy: LedgerView
  readonly post: Post
  readonly log: string[]
  /** What a part recorded last. */
  kept: Uint8Array | undefined
  readonly evidence: Fault[]
  record(bytes: Uint8Array): Promise<{ readonly ok: true; readonly value: undefined }>
  say(level: string, room: string, text: string, fault?: Fault): void
}

export async function makeVillage(
  genesis: Genesis,
  people: Readonly<Record<string, Party>>,
  /** What a villager's nodes do beside what they do. */
  nodeOf: (name: string, node: LedgerRpc) => LedgerRpc = (_, node) => node,
) {
  const { producer, time } = makeProducer({ genesis, intervalMs: BLOCK_MS, keep: 2000 })
  const { clock, timers } = time
  producer.start()
  await time.advance(2 * BLOCK_MS)
  const random = seededRandom(1)
  const broker = createSimBroker(timers, random)
  const entropy = { bytes: (n: number) => Uint8Array.from({ length: n }, () => Math.floor(random() * 256)) }
  const secretOf = (name: string) => sha256(utf8(`sealing ${name}`))
  const villagers = new Map<string, Villager>()
  for (const [name, party] of Object.entries(people)) {
    const log: string[] = []
    const say = (level: string, room: string, text: string, fault?: Fault) =>
      void log.push(
        `${level} ${room} ${text} ${fault === undefined ? '' : JSON.stringify(fault, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
      )
    const signer: Signer = {
      alg: 'EdDSA',
      publicKey: party.publicKey,
      trust: 'software',
      sign: async bytes => ok(party.sign(bytes)),
    }
    const disk = createSimDisk({ random }).mount()
    const headers = must(await openHeaderStore({ disk, clock, chainId: CHAIN_ID, segmentBytes: 65_536 }))
    const nodes = ['one', 'two'].map(node => nodeOf(name, createSimRpc({ name: node, producer, timers, latencyMs: 5 })))
    const light = createLightAgent({
      config: {
        chainId: CHAIN_ID,
        trust: { height: 1n, hash: hashHeader(producer.lightBlock(1n)!.header) },
        trustingPeriodMs: 86_400_000,
        maxClockDriftMs: 1000,
        trustLevel: { numerator: 1, denominator: 3 },
        followMs: BLOCK_MS,
        staleAfterMs: 6 * BLOCK_MS,
        proveWaitMs: 4 * BLOCK_MS,
      },
      primary: nodes[0]!,
      witnesses: [nodes[1]!],
      ...{ clock, timers, disk: createSimDisk({ random }).mount(), headers, verifier, log: say },
    })
    const started = light.start()
    await time.advance(1000)
    must(await started)
    const account = createLedgerAccount({ chainId: CHAIN_ID, signer, light, nodes, log: say })
    const post = createPost({
      bus: createSimBus([broker]),
      ...{ clock, timers, entropy, signer, verifier, log: say },
      sealingKey: secretOf(name),
      peers: Object.entries(people)
        .filter(([other]) => other !== name)
        .map(([other, { address, publicKey }]) => ({
          name: other,
          address,
          publicKey,
          sealingKey: sealingKey(secretOf(other)).publicKey,
        })),
      epoch: 1,
    })
    const villager: Villager = {
      ...{ name, party, signer, post, log, say, kept: undefined, evidence: [] },
      energy: { chainId: CHAIN_ID, light, account, nodes } as LedgerView,
      record: async bytes => {
        villager.kept = bytes
        return ok(undefined)
      },
    }
    villagers.set(name, villager)
  }
  return {
    time,
    clock,
    timers,
    producer,
    of: (name: string) => villagers.get(name)!,
    /** Lets a part of somebody's hear its letters, and starts it. */
    run(name: string, part: Part): void {
      villagers.get(name)!.post.onMessage((peer, message) => part.onMessage?.(peer, message))
      part.start()
    },
    record: <T>(table: Table<T>, id: string): T | undefined => recordOf(producer, table, id),
    async until(ms: number): Promise<void> {
      await time.advance(ms - clock.now())
    },
    async stop(): Promise<void> {
      for (const { post, energy } of villagers.values()) {
        post.stop()
        // It finishes the round that it is in, which takes time.
        await awaited(time, energy.light.stop())
      }
      await producer.stop()
    },
  }
}

function recordOf<T>(producer: Producer, table: Table<T>, id: string): T | undefined {
  const value = producer.query(utf8(table.prefix + id), producer.status().height)?.value
  return value === undefined ? undefined : must(decodeAs(table.codec, value, table.prefix, value.length))
}
