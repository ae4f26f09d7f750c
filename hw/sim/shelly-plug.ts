/**
 * A Shelly of the second generation on a bus: JSON-RPC with the request's id, a status that it publishes by itself, and a
 * flip-back timer that a new command cancels. What makes it hard: the timer toggles whatever it finds, a button knows no
 * timer, firmware may not know `toggle_after`, and answers come late or twice.
 */
import type { Bus, Cancel, Clock, Position, Timers } from '../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'

export interface ShellyPlugOptions {
  readonly bus: Bus
  /** Its topic prefix. */
  readonly device: string
  readonly channels: number
  /** Each time a contact moves. Channels count from 0. */
  readonly moved?: (channel: number, position: Position) => void
  readonly clock: Clock
  readonly timers: Timers
}

export interface ShellyPlug {
  position(channel: number): Position
  /** Somebody presses its button. */
  press(channel: number): void
  /** Of all switches, as a person sets them. */
  readonly settings: {
    in_mode: 'momentary' | 'follow' | 'flip' | 'detached'
    initial_state: 'off' | 'on' | 'restore_last' | 'match_input'
    auto_on: boolean
  }
  /** Set at any time. */
  readonly faults: {
    /** Hears nothing and says nothing. */
    dead: boolean
    /** Firmware that does not know `toggle_after`. */
    noTimer: boolean
    /** The next answer comes so much later. */
    lateMs: number
    /** Every answer comes twice. */
    twice: boolean
    /** What it answers to every question, if anything. */
    says: string | undefined
  }
}

const ANSWER_MS = 20

interface Switch {
  on: boolean
  timer: { readonly startedMs: number; readonly seconds: number } | undefined
  cancel: Cancel
}

export async function startShellyPlug(options: ShellyPlugOptions): Promise<Result<ShellyPlug>> {
  const { bus, device, channels, moved, clock, timers } = options
  const switches = Array.from({ length: channels }, (): Switch => ({ on: false, timer: undefined, cancel: () => {} }))
  const faults: ShellyPlug['faults'] = { dead: false, noTimer: false, lateMs: 0, twice: false, says: undefined }
  const settings: ShellyPlug['settings'] = { in_mode: 'detached', initial_state: 'off', auto_on: false }

  function status(id: number) {
    const { on, timer } = switches[id]!
    const shown = timer && { timer_started_at: timer.startedMs / 1000, timer_duration: timer.seconds }
    return { id, source: 'MQTT', output: on, ...shown, temperature: { tC: 41.2, tF: 106.2 } }
  }

  function drive(id: number, on: boolean, seconds?: number): void {
    const one = switches[id]!
    one.cancel()
    one.timer = seconds === undefined ? undefined : { startedMs: clock.now(), seconds }
    one.cancel = seconds === undefined ? () => {} : timers.after(1000 * seconds, () => drive(id, !one.on))
    if (one.on === on) return
    one.on = on
    moved?.(id, on ? 'closed' : 'open')
    if (!faults.dead) void bus.publish(`${device}/status/switch:${id}`, utf8(JSON.stringify(status(id))))
  }

  function perform(method: unknown, params: { id?: unknown; on?: unknown; toggle_after?: unknown }): object {
    const id = typeof params.id === 'number' && switches[params.id] !== undefined ? params.id : undefined
    if (id === undefined) return { error: { code: -105, message: `Argument 'id', value ${params.id} not found!` } }
    if (method === 'Switch.GetStatus') return { result: status(id) }
    if (method === 'Switch.GetConfig') return { result: { id, name: null, ...settings, auto_on_delay: 60 } }
    if (method !== 'Switch.Set') return { error: { code: 404, message: `No handler for ${method}` } }
    if (typeof params.on !== 'boolean') return { error: { code: -103, message: "Missing required argument 'on'!" } }
    const was_on = switches[id]!.on
    const seconds = typeof params.toggle_after === 'number' && !faults.noTimer ? params.toggle_after : undefined
    drive(id, params.on, seconds)
    return { result: { was_on } }
  }

  const subscribed = await bus.subscribe(`${device}/rpc`, payload => {
    if (faults.dead) return
    const { id, src, method, params } = JSON.parse(fromUtf8(payload) ?? '')
    const answer = utf8(faults.says ?? JSON.stringify({ id, src: device, dst: src, ...perform(method, params ?? {}) }))
    const afterMs = ANSWER_MS + faults.lateMs
    faults.lateMs = 0
    for (let n = 0; n < (faults.twice ? 2 : 1); n++)
      timers.after(afterMs + n, () => void bus.publish(`${src}/rpc`, answer))
  })
  if (!subscribed.ok) return subscribed
  return ok({
    position: channel => (switches[channel]!.on ? 'closed' : 'open'),
    press: channel => drive(channel, !switches[channel]!.on),
    settings,
    faults,
  })
}
