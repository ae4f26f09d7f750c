/** The questions about a charger and the fuse before it. */
import { CONTROLLERS, type ControllerName } from '../../config/charging-config.ts'
import type { LineSpeed } from '../../config/line-settings.ts'
import * as literals from '../../config/literals.ts'
import { parsePlace } from './line-questions.ts'
import { because, choose, parsed, type Walk, yes } from './question.ts'
import { type Drafting, lineTo, settle, TWO_SPEEDS } from './settle.ts'

/** Below this no car charges (IEC 61851-1). */
const LEAST_MA = 6_000
const WIRED = (Object.keys(CONTROLLERS) as ControllerName[]).filter(name => CONTROLLERS[name].on !== 'mqtt')
/** As each leaves its factory, from the documents that its driver names. */
const USUAL_SPEED: LineSpeed = { baud: 9_600, format: '8N1' }
const SPEEDS: Readonly<Partial<Record<ControllerName, LineSpeed>>> = {
  amperfied: { baud: 19_200, format: '8E1' },
  openevse: { baud: 115_200, format: '8N1' },
}
const NONE = 'none'
const current = (least: number) => (text: string) => {
  const found = literals.parseCurrent(text)
  return found !== undefined && found >= least ? found : undefined
}

export function* askCharger(draft: Drafting): Walk<void> {
  const prefix = 'charger.'
  const there = yield* yes(
    `${prefix}add`,
    'Is there a car charger to be controlled?',
    draft.role === 'charger' ? 'yes' : 'no',
  )
  if (!there) return
  const controller = (yield choose(
    `${prefix}controller`,
    'Which controller has it? An EVerest station is added by hand',
    WIRED,
  )) as ControllerName
  const { on, supervised, failsafe: falls } = CONTROLLERS[controller]
  const speed = SPEEDS[controller] ?? USUAL_SPEED
  const place = yield parsed(
    `${prefix}place`,
    'Where is it? As in 192.168.1.50:502',
    text => parsePlace(text, speed),
    `a device such as /dev/ttyUSB0 (${speed.baud} ${speed.format}), or host:port`,
  )
  const wire = lineTo(draft, parsePlace(place, speed)!)
  if (wire === undefined) {
    yield { kind: 'refusal', prefix, why: TWO_SPEEDS }
    return
  }
  const unit =
    on === 'modbus'
      ? yield parsed(
          `${prefix}unit`,
          'Which Modbus unit (address) has it?',
          text => (text === '255' ? 255 : literals.within(literals.parseWhole, 1, 247)(text)),
          'a Modbus unit from 1 to 247, or 255',
          '1',
        )
      : undefined
  const most = yield parsed(
    `${prefix}most`,
    'What do its own wiring and its cable carry, per phase?',
    current(LEAST_MA),
    'a current from 6A, as in 16A',
    '16A',
  )
  draft.fuse = yield parsed(
    `${prefix}fuse`,
    'Which rating has the main fuse of the house, per phase?',
    current(LEAST_MA),
    'a current from 6A, as in 35A',
    '35A',
  )
  const noMeter = { value: NONE, label: 'none of them' }
  const meters = draft.meters.map(({ name }) => name)
  if (meters.length > 0)
    draft.fuseMeter = orNone(
      yield because(
        'With none the charger is given all that the fuse carries, whatever else the house takes.',
        choose(
          `${prefix}fuse_meter`,
          'Which meter shows what flows through that fuse?',
          [...meters, noMeter],
          meters[0],
        ),
      ),
    )
  const counting = meters.filter(name => name !== draft.fuseMeter)
  const meter =
    counting.length === 0
      ? undefined
      : orNone(
          yield because(
            'Then each session is billed: its begin and end are signed readings.',
            choose(
              `${prefix}meter`,
              'Which meter counts what cars take, and nothing else?',
              [noMeter, ...counting],
              NONE,
            ),
          ),
        )
  const tariff =
    meter === undefined
      ? undefined
      : yield parsed(
          `${prefix}tariff`,
          'What does a kWh cost its driver?',
          literals.parsePrice,
          'a price for one kWh, as in 0.39',
          '0.39',
        )
  const failsafe =
    falls === 'charging'
      ? yield parsed(
          `${prefix}failsafe`,
          'What does it fall back to when the agent is silent? This one cannot stop',
          current(LEAST_MA),
          'a current from 6A',
          '6A',
        )
      : undefined
  let accepted: string | undefined
  if (!supervised) {
    const so = yield* yes(
      `${prefix}allow_unsupervised`,
      'This controller keeps its last limit when the agent dies. Do you accept that?',
      'no',
    )
    if (!so)
      yield { kind: 'refusal', prefix, why: 'then a controller that stops by itself: amperfied, abb-terra, alfen' }
    accepted = 'true'
  }
  draft.charger = {
    controller,
    line: wire,
    unit,
    most,
    fuse: 'main',
    meter,
    tariff,
    failsafe,
    allow_unsupervised: accepted,
  }
  yield* settle(prefix, draft)
}

const orNone = (answer: string): string | undefined => (answer === NONE ? undefined : answer)
