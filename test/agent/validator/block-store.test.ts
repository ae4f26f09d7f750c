import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeStoredBlock, encodeStoredBlock, type StoredBlock } from '../../../agent/validator/block-record.ts'
import { openBlockStore } from '../../../agent/validator/block-store.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { hashData, hashResults } from '../../../protocol/chain/block.ts'
import { hashCommit } from '../../../protocol/chain/commit.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { hashValidators } from '../../../protocol/chain/validators.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { storedChain } from './stored-chain.ts'

const test = suite('block store')

const { clock } = createSimTime(0, drainPromises)
const SEGMENT = 6 * 4096
const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })
const open = (sim: SimDisk) => openBlockStore({ disk: sim.mount(), clock, segmentBytes: SEGMENT })
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

const { blocks } = await storedChain(24)
const at = (height: bigint): StoredBlock => blocks[Number(height) - 1]!

/** Appends from where the store is, until done or something fails. Answers the newest acknowledged height. */
async function write(sim: SimDisk): Promise<bigint> {
  const opened = await open(sim)
  if (!opened.ok) return 0n
  let height = opened.value.newest
  for (const block of blocks.slice(Number(height))) {
    if (!(await opened.value.append(block)).ok) break
    height = block.header.height
    if (height === 15n && !(await opened.value.prune(9n)).ok) break
  }
  await opened.value.close()
  return height
}

/** The newest height, once every block there is as it was appended. */
async function newestIn(sim: SimDisk): Promise<bigint> {
  const store = must(await open(sim))
  const { oldest, newest } = store
  if (newest === 0n) return 0n
  for (let height = oldest; height <= newest; height++) assert.equal(must(await store.read(height)), at(height))
  assert.is(must(await store.read(newest + 1n)), undefined)
  await store.close()
  return newest
}

test('blocks come back as they were, after a restart too', async () => {
  const sim = newDisk()
  const store = must(await open(sim))
  assert.equal([store.oldest, store.newest], [0n, 0n])
  for (const block of blocks) must(await store.append(block))
  assert.equal([store.oldest, store.newest], [1n, 24n])
  await store.close()
  assert.is(await newestIn(sim), 24n)
})

test('what comes back hashes to what stands in its header and the next', async () => {
  const sim = newDisk()
  await write(sim)
  const store = must(await open(sim))
  let before: StoredBlock | undefined
  for (let height = store.oldest; height <= store.newest; height++) {
    const block = must(await store.read(height))!
    const { header, commit } = block
    assert.equal(hashHeader(header), commit.blockId.hash)
    assert.equal(hashData(block.txs), header.dataHash)
    assert.equal(hashCommit(block.lastCommit), header.lastCommitHash)
    assert.equal(hashValidators(block.validators), header.validatorsHash)
    if (before !== undefined) {
      assert.equal(before.appHash, header.appHash)
      assert.equal(hashResults(before.results), header.lastResultsHash)
    }
    before = block
  }
})

test('a store may begin at any height; a gap behind it is our own bug', async () => {
  const sim = newDisk()
  const store = must(await open(sim))
  must(await store.append(at(7n)))
  let thrown: unknown
  await store.append(at(9n)).catch(error => {
    thrown = error
  })
  assert.instance(thrown, RangeError)
  must(await store.append(at(8n)))
  const again = must(await open(sim))
  assert.equal([again.oldest, again.newest], [7n, 8n])
  assert.equal(must(await again.read(8n)), at(8n))
  assert.is(must(await again.read(6n)), undefined)
})

test('pruning forgets whole files of old blocks, keeps the wanted ones, and never the newest', async () => {
  const sim = newDisk()
  const store = must(await open(sim))
  for (const block of blocks) must(await store.append(block))
  const files = must(await sim.mount().list()).length
  const again = must(await open(sim))
  must(await again.prune(13n))
  assert.ok(again.oldest > 1n && again.oldest <= 13n)
  assert.ok(must(await sim.mount().list()).length < files)
  assert.is(await newestIn(sim), 24n)
  const third = must(await open(sim))
  must(await third.prune(1000n))
  assert.is(third.newest, 24n)
  assert.equal(must(await third.read(24n)), at(24n))
})

for (const strike of ['cut', 'kill', 'io', 'full'] as const) {
  test(`every operation in turn meets ${strike}: all acknowledged blocks are there, whole`, async () => {
    const calm = newDisk()
    assert.is(await write(calm), 24n)
    let stopped = 0
    for (let operation = 0; operation < calm.operations(); operation++) {
      const sim = newDisk({
        random: seededRandom(operation),
        strike: (_, __, n) => (n === operation ? strike : undefined),
      })
      const acknowledged = await write(sim)
      if (strike !== 'kill') sim.cut()
      const newest = await newestIn(sim)
      const where = `${strike} at ${operation}: ${acknowledged} acknowledged, ${newest} there`
      assert.ok(newest === acknowledged || newest === acknowledged + 1n, where)
      if (acknowledged < 24n) stopped++
      assert.is(await write(sim), 24n, where)
      assert.is(await newestIn(sim), 24n)
    }
    assert.ok(stopped > 5, `${stopped} stopped`)
  }, 60_000)
}

test('control: on a disk that lies about its sync acknowledged blocks are lost', async () => {
  const sim = newDisk({ lyingSync: true })
  await write(sim)
  sim.cut()
  const store = await open(sim)
  assert.ok(!store.ok || store.value.newest < 24n)
})

test('a block with any byte damaged on the disk is a fault that names file and place, or it was the last one and is gone', async () => {
  const sim = newDisk()
  const store = must(await open(sim))
  for (const block of blocks.slice(0, 7)) must(await store.append(block))
  await store.close()
  let [faults, gone] = [0, 0]
  for (const name of must(await sim.mount().list())) {
    const good = sim.platter(name)!.slice()
    for (let byte = 0; byte < good.length; byte += 1) {
      if (good[byte] === 0 || byte % 3 > 0) continue
      sim.platter(name)![byte]! ^= 0x10
      sim.cut()
      const damaged = await open(sim)
      let fault = damaged.ok ? undefined : damaged.fault
      for (let height = 1n; damaged.ok && height <= 7n; height++) {
        const block = await damaged.value.read(height)
        if (!block.ok) fault = block.fault
        else if (block.value !== undefined) assert.equal(block.value, at(height))
        else assert.is(height, 7n)
      }
      if (fault === undefined) {
        gone++
        assert.is(damaged.ok && damaged.value.newest, 6n)
      } else {
        faults++
        assert.is(fault.code, 'log.corrupt')
        assert.is(fault.segment, name)
      }
      must(await sim.mount().replace(name, good))
    }
  }
  assert.ok(faults > 1000 && gone > 100, `${faults} faults, ${gone} gone`)
}, 180_000)

test('bytes that are no block are refused: every cut and every flipped bit of the record itself, or they say another block', () => {
  const good = encodeStoredBlock(at(6n))
  let refused = 0
  for (let end = 0; end < good.length; end++) {
    const found = decodeStoredBlock(good.subarray(0, end))
    if (found.ok) assert.equal(encodeStoredBlock(found.value), good.subarray(0, end))
    else refused++
  }
  // Only what ends with a whole field can be a block.
  assert.ok(refused > good.length - 20, `${good.length - refused} cuts read`)
  for (let byte = 0; byte < good.length; byte++) {
    for (const bit of [0, 3, 7]) {
      const flipped = good.slice()
      flipped[byte]! ^= 1 << bit
      const found = decodeStoredBlock(flipped)
      if (!found.ok) refused++
      // One block has one byte string: what is read is written as the same bytes again.
      else assert.equal(encodeStoredBlock(found.value), flipped)
    }
  }
  assert.ok(refused > good.length + 200, `${refused}`)
}, 60_000)

test('a full disk is a fault; when pruning made room, appending goes on', async () => {
  const sim = newDisk({ capacityBytes: 3 * SEGMENT })
  const store = must(await open(sim))
  let fault = 'ok'
  let height = 0n
  while (fault === 'ok') {
    fault = codeOf(await store.append(at(height + 1n)))
    if (fault === 'ok') height++
  }
  assert.is(fault, 'log.full')
  assert.is(store.newest, height)
  must(await store.prune(height))
  const again = must(await open(sim))
  must(await again.append(at(height + 1n)))
  assert.equal(must(await again.read(height + 1n)), at(height + 1n))
})

test('on a real folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-blocks-'))
  const disk = must(await openDisk(folder))
  const store = must(await openBlockStore({ disk, clock, segmentBytes: SEGMENT }))
  for (const block of blocks) must(await store.append(block))
  assert.is(codeOf(await openBlockStore({ disk, clock, segmentBytes: SEGMENT })), 'disk.held')
  await store.close()
  const again = must(await openBlockStore({ disk, clock, segmentBytes: SEGMENT }))
  for (const block of blocks) assert.equal(must(await again.read(block.header.height)), block)
  must(await again.prune(20n))
  await again.close()
  await disk.close()
  rmSync(folder, { recursive: true })
})

test.run()
