/** Snapshots that cannot be finished: of a state that is too old before all of it is written, and on a full disk. */
import { createAbciHost } from '../../../agent/validator/abci-host.ts'
import { openLedgerStore } from '../../../agent/validator/ledger-store.ts'
import { joinState } from '../../../agent/validator/snapshot-form.ts'
import { openSnapshots } from '../../../agent/validator/snapshot-store.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { concat, fromUtf8, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { chainTime } from '../../../protocol/chain/chain-time.ts'
import { KEPT_VERSIONS } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { createApp, resumeApp, type SavedState } from '../../../protocol/ledger/app.ts'
import { fail, must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, genesis, verifier } from '../../protocol/ledger/parties.ts'

const test = suite('snapshots that cannot be finished')

const { clock } = createSimTime(BEGIN, async () => {})
const freshDisk = (capacityBytes?: number) =>
  createSimDisk({ random: seededRandom(1), ...(capacityBytes === undefined ? {} : { capacityBytes }) }).mount()

/** A ledger of some ten thousand accounts, which take more than one chunk. */
function crowded(): SavedState {
  const entries = [...createApp(genesis).entries(0n)!]
  const [key, value] = entries.find(([key]) => fromUtf8(key)!.startsWith('account/'))!
  const prefix = fromUtf8(key)!.slice(0, -40)
  const nameOf = (i: number) => utf8(prefix + toHex(sha256(utf8(`crowd ${i}`)).slice(0, 20)))
  return {
    entries: [...entries, ...Array.from({ length: 15_000 }, (_, i) => [nameOf(i), value] as const)],
    headerHashes: [],
  }
}

/** A node at block 1, of which it makes a snapshot on this disk. */
async function atBlockOne(
  snapshots: Disk,
  ledger: { readonly disk: Disk; readonly segmentBytes?: number } = { disk: freshDisk() },
  snapshotInterval = 10,
) {
  const store = must(await openLedgerStore({ clock, ...ledger }))
  const state = crowded()
  const resumed = must(resumeApp(state))
  must(await store.replaceWith({ height: 0n, appHash: resumed.appHash, state }))
  const lines: string[] = []
  const host = createAbciHost({
    store,
    snapshots: must(await openSnapshots(snapshots)),
    resumed,
    verifier,
    log: (level, _, text, fault) => lines.push(`${level} ${text}${fault === undefined ? '' : ` ${fault.code}`}`),
    snapshotInterval,
  })
  return { host, lines }
}

type Node = Awaited<ReturnType<typeof atBlockOne>>

async function makeBlocks({ host }: Node, from: number, to: number): Promise<void> {
  for (let height = from; height <= to; height++) {
    const time = chainTime(instant(BEGIN + height * 1000))
    const block = { height: BigInt(height), time, txs: [], hash: sha256(utf8(`header ${height}`)), misbehaviour: [] }
    await host.answer({ kind: 'finalizeBlock', ...block })
    await host.answer({ kind: 'commit' })
  }
}

test('a snapshot that blocks overtake is given up, and the node goes on', async () => {
  const disk = freshDisk()
  let open = () => {}
  const gate = new Promise<void>(resolve => (open = resolve))
  const slow: Disk = {
    ...disk,
    async replace(name, bytes) {
      await gate
      return disk.replace(name, bytes)
    },
  }
  const node = await atBlockOne(slow)
  await makeBlocks(node, 1, 10 + KEPT_VERSIONS)
  open()
  await node.host.settled()
  assert.match(node.lines.at(-1)!, /no snapshot at 10: blocks came faster/)
  await makeBlocks(node, 11 + KEPT_VERSIONS, 12 + KEPT_VERSIONS)
  assert.equal(must(await disk.list()), [], 'nothing is left of it')
}, 60_000)

test('a snapshot that does not fit leaves the space to the ledger', async () => {
  const disk = freshDisk(1_200_000)
  const node = await atBlockOne(disk)
  await makeBlocks(node, 1, 10)
  await node.host.settled()
  assert.match(node.lines.at(-1)!, /warn no snapshot at 10 disk.full/)
  assert.equal(must(await disk.list()), [])
}, 60_000)

test('a disk that takes blocks but will soon be full is told of once, and once when it is not any more', async () => {
  let full = false
  const disk = freshDisk()
  const ledger: Disk = {
    ...disk,
    create: async (name, size) => (full ? fail({ code: 'disk.full', name }) : disk.create(name, size)),
  }
  const node = await atBlockOne(freshDisk(), { disk: ledger, segmentBytes: 64 * 1024 }, 0)
  await makeBlocks(node, 1, 1)
  full = true
  await makeBlocks(node, 2, 13)
  assert.equal(node.lines, ['warn the ledger on the disk will stop one day: log.nearly-full'])
}, 60_000)

test('a liar’s smallest entries are refused at the first one out of order', () => {
  // 1 MiB of CBOR [0, [[h'', h''], ...]]; 64 of them decoded would be some gigabytes.
  const count = 349_000
  const head = hex(`82 00 9a ${count.toString(16).padStart(8, '0')}`)
  const chunk = concat(
    head,
    new Uint8Array(3 * count).map((_, i) => (i % 3 === 0 ? 0x82 : 0x40)),
  )
  const refused = joinState(Array.from({ length: 64 }, () => chunk))
  assert.equal(refused, { ok: false, fault: { code: 'snapshot.order', chunk: 0 } })
})

test.run()
