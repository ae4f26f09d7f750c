/** The form of `direct_lines`, `trade` and what goes with them: `safety`, `rest`, `clock` and `journal`. */
import { sellForm } from './grid-schema.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { meterSerial } from './meter-schema.ts'
import {
  about,
  current,
  duration,
  energy,
  filled,
  group,
  name,
  oneOf,
  power,
  price,
  scalar,
  set,
  v,
  whole,
  window,
} from './schema-words.ts'

const contact = scalar(literals.parseContact, 'a contact: the bank and the channel, as in board.1', forms.CONTACT)

export const directLineForm = v.pipe(
  group({
    id: about('Its name; the same at both ends.', name),
    side: about('Which end this is.', oneOf('seller', 'buyer')),
    peer: about('The neighbour at the other end.', name),
    meter: about('The meter of this end.', name),
    limit: about('What the line carries, in each phase.', current),
    peer_meter: about('Serial of the meter of the other end.', meterSerial),
    contacts: about(
      'The contacts that switch it.',
      v.pipe(
        group({
          line: about('The line’s own.', contact),
          upstream: about('Opened as well when the line’s own is found welded.', v.optional(contact)),
          own: about('The buyer’s: the circuit’s own supply, opened before the line closes.', v.optional(contact)),
        }),
        v.transform(({ line, ...others }) => ({ line, ...set(others) })),
      ),
    ),
    circuit: about(
      'What the line feeds at the buyer’s end.',
      v.optional(
        v.pipe(
          group({
            name: about('What it is called.', filled('what the line feeds, as in heat pump')),
            phases: about(
              'How many phases it has.',
              v.optional(
                scalar(text => (text === '1' ? 1 : text === '3' ? 3 : undefined), '1 or 3', forms.words(1, 3)),
                '1',
              ),
            ),
            load: about('What it takes while it runs.', v.optional(power)),
          }),
          v.transform(({ name, phases, load }) => ({ name, phases, ...set({ load }) })),
        ),
      ),
    ),
  }),
  v.transform(({ peer_meter, circuit, ...rest }) => ({
    ...rest,
    peerMeter: peer_meter,
    ...set({ circuit }),
  })),
)

export const tradeForm = v.pipe(
  group({
    sell: sellForm,
    buy: about(
      'How this site buys; it buys nothing without.',
      v.optional(
        group({
          limit: about('The most that a kWh may cost.', price),
          opening: about('The first price that is bid.', price),
        }),
      ),
    ),
    slot: about('How long one deal lasts.', duration(1000, 86_400_000, 'a duration from 1s to 1d')),
    receipt_window: about('Time for receipts after a slot.', v.optional(window, '60s')),
    dispute_window: about('Time for a dispute after that.', v.optional(window, '120s')),
    energy: about('Energy asked for in one deal.', energy),
    loss: about(
      'What the line may lose between its two meters.',
      v.optional(scalar(literals.parsePermille, 'a share, as in 2%', forms.SHARE), '2%'),
    ),
    pause: about(
      'How long a buyer’s circuit asks for nothing after a deal.',
      v.optional(duration(0, 86_400_000, 'a duration up to 1d'), '0s'),
    ),
  }),
  v.transform(it => ({
    ...set({ sell: it.sell, buy: it.buy }),
    slotMs: it.slot,
    receiptWindowMs: it.receipt_window,
    disputeWindowMs: it.dispute_window,
    energy: it.energy,
    lossPermille: it.loss,
    pauseMs: it.pause,
  })),
)

const voltage = v.optional(scalar(literals.parseVoltage, 'a voltage, as in 207V', forms.VOLTAGE))
const frequency = v.optional(scalar(literals.parseFrequency, 'a frequency, as in 49.5Hz', forms.FREQUENCY))
export const safetyForm = v.pipe(
  group({
    voltage_min: about('Below this no line closes, and a closed one opens.', voltage),
    voltage_max: about('Above this no line closes, and a closed one opens.', voltage),
    frequency_min: about('Below this no line closes, and a closed one opens.', frequency),
    frequency_max: about('Above this no line closes, and a closed one opens.', frequency),
    min_off: about(
      'A contact that has opened stays open for so long.',
      v.optional(duration(0, 3_600_000, 'a duration up to 1h')),
    ),
    max_proof_age: about(
      'How old the proof of a payment may be when a line closes.',
      v.optional(duration(1000, 86_400_000, 'a duration from 1s to 1d')),
    ),
  }),
  v.transform(it =>
    set({
      voltageMinMv: it.voltage_min,
      voltageMaxMv: it.voltage_max,
      frequencyMinMhz: it.frequency_min,
      frequencyMaxMhz: it.frequency_max,
      minOffMs: it.min_off,
      maxProofAgeMs: it.max_proof_age,
    }),
  ),
)

export const restForm = v.pipe(
  group({
    look: about('Between two looks for something to do.', duration(1000, 900_000, 'a duration from 1s to 15min')),
    line_meters: about('How often line meters are read.', duration(1000, 900_000, 'a duration from 1s to 15min')),
  }),
  v.transform(it => ({ lookMs: it.look, lineMetersMs: it.line_meters })),
)

export const clockForm = v.pipe(
  group({
    origin_wall_ms: about('A moment of the real clock.', whole(0, Number.MAX_SAFE_INTEGER, 'milliseconds since 1970')),
    origin_virtual_ms: about(
      'What the bench’s clock showed then.',
      whole(0, Number.MAX_SAFE_INTEGER, 'milliseconds since 1970'),
    ),
    speed: about('How much faster it runs.', whole(1, 1000, 'a whole factor from 1 to 1000')),
  }),
  v.transform(it => ({
    originWallMs: it.origin_wall_ms,
    originVirtualMs: it.origin_virtual_ms,
    speed: it.speed,
  })),
)

/**
 * By default longer than a year of bills and a season to dispute them, and half of the smallest card that is sold. The least
 * is a day, and what two segments and the next one take.
 */
export const journalForm = v.pipe(
  group({
    keep: about(
      'How long the journal is kept.',
      v.optional(duration(86_400_000, 36_500 * 86_400_000, 'a duration from 1d to 36500d'), '400d'),
    ),
    size: about(
      'How large it may become.',
      v.optional(
        scalar(literals.within(literals.parseBytes, 50_000_000, 1e15), 'a size from 50MB, as in 4GB', forms.BYTES),
        '4GB',
      ),
    ),
  }),
  v.transform(({ keep, size }) => ({ keepMs: keep, bytes: size })),
)
