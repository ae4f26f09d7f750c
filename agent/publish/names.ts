/** What topics and states call things. */
import type { PilotState } from '../../drivers/ports.ts'

/** A name as part of a topic and of a template: letters, digits and underscores; two that differ stay different. */
export const slug = (name: string): string =>
  name.replaceAll(/[^A-Za-z0-9]/g, one => (one === '-' || one === '.' ? '_' : `_${one.codePointAt(0)!.toString(16)}_`))

/** States of a charging point by IEC 61851-1, Annex A. */
export const PILOT_WORDS: Readonly<Record<PilotState, string>> = {
  A: 'no car',
  B: 'car connected',
  C: 'charging',
  D: 'charging with ventilation',
  E: 'no pilot',
  F: 'not available',
}
