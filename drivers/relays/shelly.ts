/**
 * Relays of a Shelly, second generation and later, over MQTT (from the maker's Gen2 API documentation, not tried on hardware):
 * `Switch.Set {id, on, toggle_after}` and `Switch.GetStatus` as JSON-RPC on `<device>/rpc`, answered on `<src>/rpc` with the
 * request's id. `toggle_after`, in seconds, is the dead-man timer: a contact opens by itself unless it is closed again.
 *
 * A message may be lost, repeated, late or retained from another day. So a contact is seen only in the answer to a question of
 * this run, never in what the device publishes by itself; an answer that comes too late, or twice, answers nothing. A broker
 * may keep a command for a device that is away and hand it over much later: a closing is only sent to a device that has just
 * answered. The device must be set to a clean session, as it is by default, and no setting of its own may close a contact:
 * nothing closes before these were asked for.
 *
 * The first generation is not driven: its messages (`shellies/<id>/relay/0/command`, `on` or `off`) carry neither an id, by
 * which an answer could be told from an old one, nor a timer.
 */
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { afterListening } from '../listening.ts'
import type { Bus, Clock, Observed, OnAgentDeath, Relay, Timers } from '../ports.ts'

export interface ShellyContact {
  readonly name: string
  /** From 1; the device counts its switches from 0. */
  readonly channel: number
}

export interface ShellyOptions {
  readonly name: string
  readonly bus: Bus
  /** The device's topic prefix, by default its id: `shellyplus1-a8032abcdef0`. */
  readonly device: string
  /** Where answers come, unlike that of any other run or agent. */
  readonly src: string
  readonly contacts: readonly ShellyContact[]
  /** A contact opens this long after its last closing, rounded down to whole seconds. Absent: without a timer. */
  readonly timedMs?: number
  /** Without a timer contacts stay closed when the agent dies: usable only when that is said here. */
  readonly allowUnsupervised?: boolean
  readonly clock: Clock
  readonly timers: Timers
}

/** A device on a wireless network answers within 200 ms; the agent asks three times a second. */
const ANSWER_MS = 800
/** A closing goes to a device that was heard this recently; else it is asked first. */
const HEARD_MS = 1_000
/** Questions that wait for an answer at a time; more is a device that is not there. */
const MOST_WAITING = 32
/** A status has about 400 bytes. */
const MOST_BYTES = 4_096
/** No product has more switches. */
const MOST_CHANNELS = 16
const LONGEST_TIMED_MS = 86_400_000
/** With others a contact closes when power comes back, some time after it opened, or by an input; a plug has no `in_mode`. */
const SAFE_SETTINGS = { initial_state: 'off', auto_on: false, in_mode: 'detached' } as const

type Fields = { readonly [key: string]: unknown }

/** The contacts of one device, in the order given. Commands nothing. */
export async function shellyRelays(options: ShellyOptions): Promise<Result<readonly Relay[]>> {
  const { name, bus, device, src, contacts, clock, timers } = options
  const wrong = contacts.find(({ channel }) => !(Number.isInteger(channel) && channel >= 1 && channel <= MOST_CHANNELS))
  if (wrong !== undefined)
    return fail({ code: 'shelly.channel', device: name, contact: wrong.name, channel: wrong.channel })
  const seconds = options.timedMs === undefined ? undefined : Math.floor(options.timedMs / 1000)
  if (seconds !== undefined && !(seconds >= 1 && seconds * 1000 <= LONGEST_TIMED_MS))
    return fail({ code: 'shelly.timed', device: name, timedMs: options.timedMs, leastMs: 1000 })
  const onAgentDeath = deathOf(name, seconds, options.allowUnsupervised)
  if (!onAgentDeath.ok) return onAgentDeath

  const waiting = new Map<number, (answer: Result<Fields>) => void>()
  let lastId = 0
  let heardAt: Mono | undefined
  /** Switches whose settings are safe, as this device said. */
  const checked = new Set<number>()

  const subscribed = await bus.subscribe(`${src}/rpc`, payload => {
    const answer = payload.length > MOST_BYTES ? undefined : parseObject(payload)
    const settle = typeof answer?.['id'] === 'number' ? waiting.get(answer['id']) : undefined
    if (answer === undefined || settle === undefined) return
    heardAt = clock.mono()
    settle(resultOf(name, answer))
  })
  if (!subscribed.ok) return subscribed

  /** One question; the answer must have its id and come in time. */
  function ask(method: string, params: Fields): Promise<Result<Fields>> {
    if (waiting.size >= MOST_WAITING) return Promise.resolve(fail({ code: 'shelly.busy', device: name }))
    const id = ++lastId
    return new Promise(resolve => {
      const settle = (answer: Result<Fields>) => {
        cancel()
        waiting.delete(id)
        resolve(answer)
      }
      const cancel = afterListening(ANSWER_MS, clock, timers, () => {
        checked.clear()
        settle(fail({ code: 'shelly.no-answer', device: name, method, afterMs: ANSWER_MS }))
      })
      waiting.set(id, settle)
      void bus.publish(`${device}/rpc`, utf8(JSON.stringify({ id, src, method, params }))).then(sent => {
        if (!sent.ok) settle(sent)
      })
    })
  }

  async function look(id: number): Promise<Result<boolean>> {
    const status = await ask('Switch.GetStatus', { id })
    if (!status.ok) return status
    const { output, id: of, timer_duration: timer } = status.value
    if (typeof output !== 'boolean' || of !== id) return fail({ code: 'shelly.answer', device: name })
    // Somebody else's timer, which toggles.
    if (!output && typeof timer === 'number') return fail({ code: 'shelly.will-close', device: name, channel: id + 1 })
    // Closed by hand, or by firmware that does not know the timer: it would stay so.
    if (output && seconds !== undefined && typeof timer !== 'number')
      return fail({ code: 'shelly.no-timer', device: name, channel: id + 1 })
    return ok(output)
  }

  /** Whether nothing but a command closes this switch; looked at anew after each time that the device was away. */
  async function onlyCommanded(id: number): Promise<Result<unknown>> {
    const config = await ask('Switch.GetConfig', { id })
    if (!config.ok) return config
    const wrong = Object.entries(SAFE_SETTINGS).find(([setting, safe]) => {
      const is = config.value[setting]
      return is !== safe && (setting !== 'in_mode' || is !== undefined)
    })
    if (wrong === undefined) {
      checked.add(id)
      return config
    }
    const [setting, safe] = wrong
    const is = String(config.value[setting]).slice(0, 32)
    return fail({ code: 'shelly.closes-by-itself', device: name, channel: id + 1, setting, is, wanted: String(safe) })
  }

  async function set(id: number, on: boolean, isLast: () => boolean): Promise<Result<void>> {
    const isFresh = heardAt !== undefined && clock.mono() <= later(heardAt, HEARD_MS)
    if (on && !(isFresh && checked.has(id))) {
      const there = await (checked.has(id) ? ask('Switch.GetStatus', { id }) : onlyCommanded(id))
      if (!there.ok) return there
      // An opening was asked for meanwhile, and has the last word.
      if (!isLast()) return done
    }
    const timer = on && seconds !== undefined ? { toggle_after: seconds } : {}
    const answer = await ask('Switch.Set', { id, on, ...timer })
    if (!answer.ok) return answer
    return typeof answer.value['was_on'] === 'boolean' ? done : fail({ code: 'shelly.answer', device: name })
  }

  return ok(
    contacts.map((contact): Relay => {
      const id = contact.channel - 1
      let last = 0
      /** Closings whose answer is not there yet. */
      const closing = new Set<Promise<unknown>>()
      function command(on: boolean): Promise<Result<void>> {
        const mine = ++last
        const isLast = () => mine === last
        const overtaken = on ? [] : [...closing]
        const work = set(id, on, isLast)
        if (on) {
          closing.add(work)
          void work.then(() => closing.delete(work))
        } else if (overtaken.length > 0) {
          // Messages change places: a closing sent before may come after.
          void Promise.all([work, ...overtaken]).then(() => {
            if (isLast()) void set(id, false, isLast)
          })
        }
        return work
      }
      return {
        name: contact.name,
        onAgentDeath: onAgentDeath.value,
        command: position => command(position === 'closed'),
        async observe(): Promise<Observed> {
          const output = await look(id)
          if (!output.ok) return { seen: 'unknown', why: output.fault }
          return { seen: output.value ? 'closed' : 'open' }
        },
        async close() {
          await command(false)
        },
      }
    }),
  )
}

function deathOf(device: string, seconds: number | undefined, allowUnsupervised?: boolean): Result<OnAgentDeath> {
  if (seconds !== undefined) return ok({ kind: 'opens', withinMs: seconds * 1000, by: `toggle_after of ${device}` })
  if (allowUnsupervised === true) return ok({ kind: 'stays', allowUnsupervised: true })
  return fail({
    code: 'shelly.unsupervised',
    device,
    hint: 'without a time contacts stay closed when the agent dies; say allowUnsupervised to accept that',
  })
}

function resultOf(device: string, { result, error }: Fields): Result<Fields> {
  if (isObject(result)) return ok(result)
  const code = isObject(error) && typeof error['code'] === 'number' ? error['code'] : undefined
  return fail(code === undefined ? { code: 'shelly.answer', device } : { code: 'shelly.refused', device, error: code })
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parseObject(bytes: Uint8Array): Fields | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(bytes) ?? '')
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
