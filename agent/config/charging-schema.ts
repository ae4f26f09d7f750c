/** The form of `fuses` and `chargers`. */
import type { Phase } from '../../protocol/safety/charger-hold.ts'
import type { PerPhase } from '../../protocol/safety/site-guard.ts'
import { type ChargerConfig, CONTROLLERS, type ControllerName, type FuseConfig } from './charging-config.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { unit } from './relay-schema.ts'
import {
  about,
  brokerUrl,
  current,
  duration,
  filled,
  flag,
  group,
  name,
  oneOf,
  price,
  scalar,
  set,
  spelt,
  v,
  whole,
} from './schema-words.ts'

const CURRENTS = forms.CURRENT.pattern!.slice(1, -1).replace(/^/, '\\s*').concat('\\s*')
/** `25A` for every phase, or `25A/25A/16A` for L1, L2 and L3. */
const perPhase = scalar(
  (text): PerPhase | undefined => {
    const parts = text.split('/').map(part => literals.parseCurrent(part.trim()))
    const [l1, l2 = l1, l3 = l1] = parts
    if ((parts.length !== 1 && parts.length !== 3) || l1 === undefined || l2 === undefined || l3 === undefined)
      return undefined
    return [l1, l2, l3]
  },
  'a current, as in 25A, or one of each phase, as in 25A/25A/16A',
  { pattern: `^${CURRENTS}(/${CURRENTS}/${CURRENTS})?$`, examples: ['25A', '25A/25A/16A'] },
)
const none: PerPhase = [0, 0, 0]

export const fuseForm = v.pipe(
  group({
    rating: about('What the fuse is rated for.', perPhase),
    under: about('The fuse that feeds it; none for the connection to the grid.', v.optional(name)),
    meter: about('The meter that shows what flows through it.', v.optional(name)),
    others: about('Set aside for loads behind it that no meter shows.', v.optional(perPhase)),
  }),
  v.check(({ rating }) => Math.min(...rating) > 0, 'is rated for nothing'),
  v.transform(
    ({ rating, under, meter, others = none }): FuseConfig => ({
      ...{ ratingMa: rating, othersMa: others },
      ...set({ under, meter }),
    }),
  ),
)

/** `L1`, or `L2 L3 L1` where its first conductor is the site's L2, as wiring regulations rotate them. */
const conductors = scalar(
  (text): readonly Phase[] | undefined => {
    const found = text.trim().split(/\s+/)
    const phases = found.flatMap(part => (/^L[123]$/.test(part) ? [(Number(part[1]) - 1) as Phase] : []))
    const sound = phases.length === found.length && new Set(phases).size === phases.length
    return sound && (phases.length === 1 || phases.length === 3) ? phases : undefined
  },
  'the site’s phase of its one conductor or of each of its three, as in L1 or L2 L3 L1',
  { pattern: '^\\s*L[123](\\s+L[123]\\s+L[123])?\\s*$', examples: ['L1', 'L2 L3 L1'] },
)

/** One level of a topic. */
const moduleId = spelt(
  /^[A-Za-z0-9_-]{1,64}$/,
  "a module's id in the station's own configuration: at most 64 letters, digits, - or _",
)

export const chargerForm = v.pipe(
  group({
    controller: about('What controls the charger.', oneOf(...(Object.keys(CONTROLLERS) as ControllerName[]))),
    line: about('The line that the controller is on.', v.optional(name)),
    unit: about('Its address on Modbus.', v.optional(unit)),
    broker: about('Of EVerest: its own broker.', v.optional(brokerUrl)),
    evse: about('Of EVerest: its module evse_manager_consumer_API.', v.optional(moduleId)),
    limits: about('Of EVerest: its module external_energy_limits_consumer_API.', v.optional(moduleId)),
    id: about(
      'What the controller calls itself; another one is refused.',
      v.optional(filled('what the controller calls itself')),
    ),
    most: about('The most that its wiring carries, in each phase.', current),
    phases: about('The site’s phase of each of its conductors.', v.optional(conductors, 'L1 L2 L3')),
    fuse: about('The fuse that feeds it.', name),
    meter: about('The meter that counts what it charges.', v.optional(name)),
    tariff: about('What a kWh costs at this charger.', v.optional(price)),
    priority: about(
      'Where it does not suffice for all, the higher is served first.',
      v.optional(whole(0, 9, 'a whole number from 0 to 9'), '0'),
    ),
    mode: about(
      'As much as there is, what generation leaves over, or while a deal over the grid buys.',
      v.optional(oneOf('full', 'surplus', 'deal'), 'full'),
    ),
    failsafe: about('What the controller falls back to when it hears nothing.', v.optional(current, '0A')),
    power_on: about('What the controller allows when it starts, before it was told anything.', v.optional(current)),
    watchdog: about(
      'After how long without word it falls back.',
      v.optional(duration(10_000, 60_000, 'a duration from 10s to 60s')),
    ),
    allow_unsupervised: about(
      'Accepts a controller that keeps its limit when the agent dies.',
      v.optional(flag, 'false'),
    ),
  }),
  v.check(it => it.most >= 6000, 'has a most below 6 A: no car charges with less'),
  v.check(it => it.failsafe === 0 || it.failsafe >= 6000, 'has a failsafe between 0 and 6 A'),
  v.check(it => it.failsafe <= it.most, 'has a failsafe above its most'),
  v.check(
    it => it.failsafe === 0 || CONTROLLERS[it.controller].failsafe !== 'none',
    'has a failsafe that its controller does not know: it stops, or keeps its limit',
  ),
  v.check(
    it => it.failsafe > 0 || CONTROLLERS[it.controller].failsafe !== 'charging',
    'needs a failsafe: its controller falls back to 6 A or more',
  ),
  v.check(
    it => it.watchdog === undefined || CONTROLLERS[it.controller].supervised,
    'has a watchdog that its controller does not have',
  ),
  v.check(
    it => (CONTROLLERS[it.controller].on === 'mqtt') === (it.line === undefined),
    'needs the line of its controller; everest alone has none',
  ),
  v.check(
    it => (CONTROLLERS[it.controller].on === 'modbus') === (it.unit !== undefined),
    'needs a unit on Modbus, and has none elsewhere',
  ),
  v.check(
    it => [it.broker, it.evse, it.limits].every(one => (one !== undefined) === (it.controller === 'everest')),
    'needs broker, evse and limits with everest, and has none of them elsewhere',
  ),
  v.check(
    it => it.allow_unsupervised || CONTROLLERS[it.controller].supervised,
    'keeps its limit when the agent dies: allow_unsupervised: true accepts that',
  ),
  v.check(
    it => (it.meter === undefined) === (it.tariff === undefined),
    'names a meter and the tariff by which it counts, or neither',
  ),
  v.check(it => it.watchdog === undefined || it.watchdog % 1000 === 0, 'has a watchdog of no whole seconds'),
  v.transform(
    ({
      most,
      phases,
      failsafe,
      power_on,
      watchdog,
      allow_unsupervised,
      line,
      unit,
      id,
      meter,
      tariff,
      broker,
      evse,
      limits,
      ...rest
    }): ChargerConfig => ({
      ...rest,
      ...{ mostMa: most, conductors: phases, failsafeMa: failsafe, powerOnMa: Math.min(power_on ?? most, most) },
      ...{ allowUnsupervised: allow_unsupervised, ...set({ line, unit, id, watchdogMs: watchdog }) },
      ...(meter === undefined || tariff === undefined ? {} : { counts: { meter, tariff } }),
      ...(broker === undefined ? {} : { station: { broker, evse: evse!, limits: limits! } }),
    }),
  ),
)
