/** Where trust begins: the newest block kept on disk, else the height and hash of the configuration. */
import type { Log } from '../../drivers/ports.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { type Anchor, type VerifiedBlock, verifyAnchor } from '../../protocol/light/verify.ts'
import { type Fault, fail, type Result } from '../../protocol/result.ts'
import { SET_CLOCK } from './decide.ts'
import type { Bench } from './drive.ts'
import type { Source } from './source.ts'
import type { LightStore } from './store.ts'

/** `trust` wins over a kept block or a marked divergence only when it is higher: that is how trust is anchored anew. */
export async function findGround(
  bench: Bench,
  store: LightStore,
  trust: Anchor,
  sources: readonly Source[],
  log: Log,
): Promise<Result<VerifiedBlock>> {
  const judge = (anchor: Anchor, block: LightBlock) =>
    verifyAnchor(anchor, block, bench.options, bench.clock.now(), bench.verifier)
  const kept = await store.load()
  if (!kept.ok)
    log('warn', 'light', 'the block kept on disk cannot be read; starting from the configuration', kept.fault)
  const last = kept.ok ? kept.value : undefined
  if (last?.kind === 'diverged' && trust.height <= last.height) {
    const hint =
      'find out which chain stands, then set ledger.trust.height above this height and ledger.trust.hash to its hash'
    return fail({ code: 'light.diverged', height: last.height, evidence: last.evidence, hint })
  }
  if (last?.kind === 'block' && last.block.header.height > trust.height) {
    const resumed = judge({ height: last.block.header.height, hash: last.hash }, last.block)
    if (resumed.ok || resumed.fault.code === 'light.expired') return resumed
    // It was verified before, so its time has passed: trust does not go back to an older block for that.
    if (resumed.fault.code === 'light.from-future') return ourClock(resumed.fault)
    log('warn', 'light', 'the block kept on disk does not verify; starting from the configuration', resumed.fault)
  }
  let fault: Fault = { code: 'light.no-source', hint: 'no ledger node is configured' }
  for (const from of sources) {
    const block = await from.lightBlock(trust.height)
    const ground = block.ok ? judge(trust, block.value) : block
    // A block with the configured hash is too old wherever it comes from.
    if (ground.ok) {
      const begun = await store.begin(ground.value)
      if (!begun.ok) log('warn', 'light', 'the beginning of trust could not be saved', begun.fault)
    }
    if (ground.ok || ground.fault.code === 'light.expired') return ground
    // With the configured hash, too, it is our clock that is wrong.
    if (ground.fault.code === 'light.from-future') return ourClock(ground.fault)
    log('warn', 'light', `${from.name} gives no ground of trust`, ground.fault)
    fault = ground.fault
  }
  return fail(fault)
}

const ourClock = (fault: Fault): { readonly ok: false; readonly fault: Fault } =>
  fail({ code: 'light.clock-behind', behindMs: Number(fault['aheadMs']), block: fault['received'], hint: SET_CLOCK })
