/** The form of `ledger` and `distribution`: how a ledger is followed and reached. */
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { about, duration, group, name, scalar, set, spelt, v } from './schema-words.ts'
import type { DistributionConfig, LedgerConfig } from './site-config.ts'

const RELAY_NAME = 'the name of a relay: at most 32 small letters, digits or -'
/** `mqtt:relay-1` is a ledger node that a relay of that name serves over the site's own brokers. */
const ledgerSource = scalar(
  literals.parseLedgerSource,
  'an address such as http://127.0.0.1:26657, or a relay such as mqtt:relay-1',
  forms.LEDGER_SOURCE,
)

const entries = {
  chain: about(
    'Which ledger this is.',
    spelt(/^[A-Za-z0-9_.-]{1,50}$/, 'a chain id of at most 50 letters, digits, . - _'),
  ),
  trust: about(
    'The first header that is trusted: given out with the chain id, over another way than the ledger’s own.',
    group({
      height: about(
        'Its height.',
        scalar(literals.parseHeight, 'a height from 1', {
          type: ['string', 'integer'],
          pattern: '^[1-9]\\d{0,17}$',
          minimum: 1,
        }),
      ),
      hash: about('Its hash.', scalar(literals.parseHex32, 'a header hash: 64 hexadecimal digits', forms.HEX_32)),
    }),
  ),
  trusting_period: about(
    'How old a trusted header may be: shorter than validators can be called to account.',
    v.optional(duration(60_000, 365 * 86_400_000, 'a duration from 1min to 365d'), '14d'),
  ),
  max_clock_drift: about(
    'How far a header’s time may be ahead of this clock.',
    v.optional(duration(0, 60_000, 'a duration up to 1min'), '10s'),
  ),
  follow: about(
    'Between two looks at the newest header.',
    v.optional(duration(1000, 3_600_000, 'a duration from 1s to 1h'), '4s'),
  ),
  stale_after: about(
    'A newest header that has not risen for so long is no ground for a payment.',
    v.optional(duration(2000, 7_200_000, 'a duration from 2s to 2h')),
  ),
  primary: about('The node whose headers are checked.', ledgerSource),
  witnesses: about('Other nodes, which must say the same.', v.array(ledgerSource, 'must be a list of addresses')),
  relay_as: about(
    'Serves the primary to others over the brokers, under this name.',
    v.optional(spelt(/^[a-z0-9-]{1,32}$/, RELAY_NAME)),
  ),
}

const named = ({
  trusting_period,
  max_clock_drift,
  follow,
  stale_after,
  relay_as,
  ...rest
}: v.InferOutput<ReturnType<typeof group<typeof entries>>>): LedgerConfig => ({
  ...rest,
  ...set({ staleAfterMs: stale_after, relayAs: relay_as }),
  followMs: follow,
  trustingPeriodMs: trusting_period,
  maxClockDriftMs: max_clock_drift,
})

export const ledgerForm = v.pipe(group(entries), v.transform(named))

export const distributionForm = v.pipe(
  group({ ...entries, distributor: about('The peer that answers for capacity and fees.', name) }),
  v.transform(({ distributor, ...rest }): DistributionConfig => ({ ...named(rest), distributor })),
)
