/** A deal whose journal fails for once: what could not be kept is not acted upon, nor is what follows, until it can be. */
import { createDealRunner, type DealSurroundings } from '../../../agent/trading/deal-runner.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { decodeDeal } from '../../../protocol/trade/deal-codec.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { EPOCH } from '../../protocol/trade/deal-street.ts'
import { begun, INPUTS, reading, Side, stub } from '../../protocol/trade/grid-deal.ts'

const test = suite('a deal that cannot be kept')

/** A seller's deal whose ledger never answers. `did` is all that it does, with what the journal takes in parentheses. */
function seller(deal: Deal) {
  const did: string[] = []
  let full = false
  let wake = () => {}
  const around = {
    clock: { now: () => instant(EPOCH), mono: () => mono(0) },
    timers: {
      every: () => () => {},
      after: () => () => {},
      exactly: () => new Promise<void>(() => {}),
      sleep: () =>
        new Promise<void>(resolve => {
          wake = resolve
        }),
    },
    ...{ verifier: stub, log: () => {}, health: () => {}, onRefused: () => {}, onChange: () => {} },
    light: {
      health: () => ({ state: 'following' }),
      aheadOfLedger: () => undefined,
      prove: () => new Promise(() => {}),
    },
    account: {
      submit: (content: { readonly kind: string }) => {
        did.push(`hand in ${content.kind}`)
        return new Promise(() => {})
      },
    },
    across: {
      feeOffer: () => {
        did.push('reserve')
        return new Promise(() => {})
      },
    },
    send: ({ kind }: { readonly kind: string }) => did.push(`send ${kind}`),
    open: (contact: string) => did.push(`open ${contact}`),
    close: (contact: string) => did.push(`close ${contact}`),
    dispatch: (on: boolean) => did.push(`dispatch ${on}`),
    signReading: async (which: string) => {
      did.push(`sign ${which}`)
      return ok(reading(1_400_000n))
    },
    record: async (bytes: Uint8Array) => {
      if (full) return fail({ code: 'journal.full' })
      did.push(`(${must(decodeDeal(bytes)).state})`)
      return ok(undefined)
    },
  }
  const runner = createDealRunner(deal, [], around as unknown as DealSurroundings)
  return {
    did,
    async feed(input: Parameters<typeof runner.feed>[0], disk: 'full' | 'room'): Promise<void> {
      full = disk === 'full'
      runner.feed(input)
      await settled()
    },
    async waitIsOver(): Promise<void> {
      wake()
      await settled()
    },
  }
}

/** Everything that was to be done at once has been. */
const settled = () => new Promise<void>(resolve => setImmediate(resolve))

test('each step is in the journal before the other side or a ledger hears of it', async () => {
  const { did, feed } = seller(begun('seller'))
  await feed(INPUTS.ownHalf('seller'), 'room')
  await feed(INPUTS.countersign('seller'), 'room')
  assert.equal(did, ['(proposed)', 'send accept', '(signed)', 'reserve'])
})

test('after a step that could not be kept nothing is done, though there is room again, until the deal as it stands is kept', async () => {
  const { did, feed, waitIsOver } = seller(new Side('seller').until('started').deal)
  await feed(INPUTS.end, 'full')
  await feed(INPUTS.endReading, 'room')
  assert.equal(did, [])
  await waitIsOver()
  assert.equal(did, ['(stopped)', 'hand in receipt'])
})

test.run()
