/** The form of `demand_response`, `aggregator`, `community` and `regulator`. */
import { SHARING_RULES } from '../../protocol/market/sharing.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { about, flag, group, name, named, oneOf, power, price, scalar, set, spelt, v, whole } from './schema-words.ts'
import type { AggregatorConfig, CommunityConfig, DemandResponseConfig, RegulatorConfig } from './service-config.ts'

/** From Baker Island to the Line Islands. */
const ahead = about(
  'How far the place’s clock is ahead of UTC.',
  v.optional(
    scalar(
      text => {
        const ms = literals.parseDuration(text.replace(/^-/, ''))
        if (ms === undefined || ms > 14 * 3_600_000) return undefined
        return text.startsWith('-') ? -ms : ms
      },
      'how far the clock is ahead of UTC, as in 1h or -5h, at most 14h',
      { ...forms.DURATION, pattern: forms.DURATION.pattern!.replace('^', '^-?') },
    ),
    '0s',
  ),
)
/** As the ledger names meters. */
const serial = spelt(/^[!-~]{1,32}$/, 'the serial of a meter')
/** A day. */
const quarters = whole(1, 96, 'a number of quarters of an hour, from 1 to 96')

export const demandResponseForm = v.pipe(
  group({
    loads: about(
      'What may stand still, by names of your choice.',
      v.pipe(
        named(
          group({
            power: about('What it takes while it runs.', power),
            comfort: about('What going without a kWh of it is worth.', price),
            level: about(
              'It answers calls of this level and above.',
              v.optional(oneOf('moderate', 'high', 'special'), 'moderate'),
            ),
            longest: about('For so many quarters of an hour of one call.', v.optional(quarters, '4')),
          }),
        ),
        v.check(loads => Object.keys(loads).length > 0, 'names nothing that may stand still'),
      ),
    ),
    ahead,
  }),
  v.transform(({ loads, ahead }): DemandResponseConfig => ({ loads, aheadMs: ahead })),
)

export const aggregatorForm = v.pipe(
  group({ customers: about('Serial of the grid meter of each peer that may be called.', named(serial)), ahead }),
  v.transform(({ customers, ahead }): AggregatorConfig => ({ customers, aheadMs: ahead })),
)

export const communityForm = v.pipe(
  group({
    group: about('The group’s name on the ledger.', name),
    found: about('Whether this site founds the group where there is none yet.', v.optional(flag, 'false')),
    rule: about('How the members share.', oneOf(...SHARING_RULES)),
    tariff: about(
      'What energy costs and is worth outside of the group.',
      v.pipe(
        group({
          import: about('What a kWh from outside costs.', price),
          feed_in: about('What a kWh to outside brings.', price),
        }),
        v.check(it => it.import >= it.feed_in, 'pays more for energy than it costs'),
      ),
    ),
    order_price: about(
      'The price that the group’s orders are expected to be filled at; without it the middle of the tariff.',
      v.optional(price),
    ),
    members: about('Serial of the grid meter of each other member, by its peer name.', named(serial)),
  }),
  v.transform(
    ({ tariff, order_price: orderPrice, ...rest }): CommunityConfig => ({
      ...rest,
      tariff: { retail: tariff.import, feedIn: tariff.feed_in },
      ...set({ orderPrice }),
    }),
  ),
)

export const regulatorForm = v.pipe(
  group({
    band: about(
      'Prices between which contracts must stay.',
      v.optional(
        v.pipe(
          group({ floor: about('The least.', price), ceiling: about('The most.', price) }),
          v.check(it => it.floor <= it.ceiling, 'has its floor above its ceiling'),
        ),
      ),
    ),
    suspend: about(
      'Serials of meters that are kept from new contracts.',
      v.optional(v.array(serial, 'must be a list of serials'), []),
    ),
  }),
  v.transform(({ band, suspend }): RegulatorConfig => ({ suspend, ...set({ band }) })),
)
