/*
 * Relay board firmware for the ATmega328P at 16 MHz (Arduino Uno, Nano, Pro Mini 5 V). README.md draws the bytes.
 *
 * A contact is closed only by a checked command of the session that armed the board, and only until its dead-man time is
 * over. Whatever else happens - garbage, silence, a reset, a program that hangs - opens.
 */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/crc16.h>
#include <util/delay_basic.h>

#define VERSION_MAJOR 1
#define VERSION_MINOR 0

/*
 * Pins (bit n of a port's byte) that are driven to the level which leaves their contact open from the first moment, before
 * anybody arms the board. A pin named in neither stays an input until then, and the wiring's pull holds its contact open.
 */
#ifndef OPEN_HIGH_D
#define OPEN_HIGH_D 0
#endif
#ifndef OPEN_HIGH_B
#define OPEN_HIGH_B 0
#endif
#ifndef OPEN_HIGH_C
#define OPEN_HIGH_C 0
#endif
#ifndef OPEN_LOW_D
#define OPEN_LOW_D 0
#endif
#ifndef OPEN_LOW_B
#define OPEN_LOW_B 0
#endif
#ifndef OPEN_LOW_C
#define OPEN_LOW_C 0
#endif

/* Firmata 2.5 */
#define PROTOCOL_MAJOR 2
#define PROTOCOL_MINOR 5
#define DIGITAL_MESSAGE 0x90
#define START_SYSEX 0xF0
#define SET_PIN_MODE 0xF4
#define END_SYSEX 0xF7
#define REPORT_VERSION 0xF9
#define SYSTEM_RESET 0xFF
#define PIN_STATE_QUERY 0x6D
#define PIN_STATE_RESPONSE 0x6E
#define REPORT_FIRMWARE 0x79
#define MODE_INPUT 0x00
#define MODE_OUTPUT 0x01
#define MODE_PULLUP 0x0B
#define MODE_IGNORE 0x7F

/* Ours: Firmata leaves 00h to 0Fh to users. */
#define RELAY 0x0E
#define ARM 0x01
#define SWITCH 0x02
#define LOOK 0x03
#define REPORT 0x40

/* What an armed pin is for. */
#define CLOSED_LOW 0
#define CLOSED_HIGH 1
#define WATCHED 2
#define WATCHED_PULLUP 3

/* Why a report says what it says. */
#define DONE 0
#define NOT_ARMED 1
#define OTHER_SESSION 2
#define TRIPPED 3
#define NO_SUCH_PIN 4
#define BAD_ARMING 5

/* Flags of a report. */
#define FLAG_ARMED 1
#define FLAG_TRIPPED 2
#define FLAG_WATCHDOG 4

#define PINS 20
#define FIRST_PIN 2 /* 0 and 1 are the serial line */
#define PORTS 3     /* D: pins 0-7, B: 8-13, C: 14-19, as Firmata numbers them by eights */
#define PINS_AT_MOST 16
#define TICK_MS 2
#define SHORTEST_MS 50
#define LONGEST_MS 5000

/* Session and all: the longest arming has 16 pins and takes 48 bytes. */
#define MESSAGE_BYTES 56
#define RING_BYTES 128

static volatile uint8_t *const port_of[PORTS] = {&PORTD, &PORTB, &PORTC};
static volatile uint8_t *const ddr_of[PORTS] = {&DDRD, &DDRB, &DDRC};
static volatile uint8_t *const pin_of[PORTS] = {&PIND, &PINB, &PINC};
static const uint8_t open_high[PORTS] = {OPEN_HIGH_D, OPEN_HIGH_B, OPEN_HIGH_C};
static const uint8_t open_low[PORTS] = {OPEN_LOW_D, OPEN_LOW_B, OPEN_LOW_C};

/* By port, one bit a pin: which drive relays, which of those close at the high level, which are to be closed now. */
static volatile uint8_t relays[PORTS], closes_high[PORTS], closed[PORTS];
/* Milliseconds left of each closed contact. */
static volatile uint16_t left_ms[PINS];
static volatile uint8_t ticks, tripped, trip_untold;

static uint8_t armed, reset_cause, pin_count;
static uint8_t pin_list[PINS_AT_MOST];
static uint16_t session, dead_man_ms;

static volatile uint8_t ring[RING_BYTES], ring_in, ring_out;

static uint8_t message[MESSAGE_BYTES], message_length, awaited;

static uint8_t port_index(uint8_t pin) {
  return pin < 8 ? 0 : pin < 14 ? 1 : 2;
}

static uint8_t pin_mask(uint8_t pin) {
  return 1 << (pin < 8 ? pin : pin < 14 ? pin - 8 : pin - 14);
}

/* Level first, then direction. With interrupts off. */
static void drive(void) {
  for (uint8_t p = 0; p < PORTS; p++) {
    uint8_t high = ~(closed[p] ^ closes_high[p]) & relays[p];
    *port_of[p] = (*port_of[p] & ~relays[p]) | high;
    *ddr_of[p] |= relays[p];
  }
}

static void open_all(void) {
  uint8_t sreg = SREG;
  cli();
  for (uint8_t p = 0; p < PORTS; p++) closed[p] = 0;
  drive();
  SREG = sreg;
}

/* Every TICK_MS: whatever the main program does, a contact that nobody renewed opens, and with it all others. */
ISR(TIMER0_COMPA_vect) {
  uint8_t late = 0;
  ticks++;
  for (uint8_t pin = FIRST_PIN; pin < PINS; pin++) {
    if (!(closed[port_index(pin)] & pin_mask(pin))) continue;
    if (left_ms[pin] <= TICK_MS) late = 1;
    left_ms[pin] -= TICK_MS;
  }
  if (late) {
    for (uint8_t p = 0; p < PORTS; p++) closed[p] = 0;
    tripped = trip_untold = 1;
  }
  /* Anew each time, whatever a disturbance made of the registers. */
  drive();
}

ISR(USART_RX_vect) {
  uint8_t damaged = UCSR0A & (_BV(FE0) | _BV(DOR0));
  uint8_t byte = UDR0;
  uint8_t next = (ring_in + 1) % RING_BYTES;
  /* FEh is no command: it ends the message in which a byte was lost. */
  if (next == ring_out)
    ring[(ring_in + RING_BYTES - 1) % RING_BYTES] = 0xFE;
  else {
    ring[ring_in] = damaged ? 0xFE : byte;
    ring_in = next;
  }
}

static void send(uint8_t byte) {
  while (!(UCSR0A & _BV(UDRE0)));
  UDR0 = byte;
}

/* A byte that the check covers. */
static uint16_t send_checked(uint16_t crc, uint8_t byte) {
  send(byte);
  return _crc16_update(crc, byte);
}

static void send_version(void) {
  send(REPORT_VERSION);
  send(PROTOCOL_MAJOR);
  send(PROTOCOL_MINOR);
}

static void send_firmware(void) {
  static const char name[] PROGMEM = "TielineRelay";
  send(START_SYSEX);
  send(REPORT_FIRMWARE);
  send(VERSION_MAJOR);
  send(VERSION_MINOR);
  for (uint8_t i = 0; i < sizeof name - 1; i++) {
    send(pgm_read_byte(&name[i]));
    send(0);
  }
  send(END_SYSEX);
}

/* The level on a pin, whoever drives it. */
static uint8_t level(uint8_t pin) {
  return (*pin_of[port_index(pin)] & pin_mask(pin)) != 0;
}

static void report(uint8_t sequence, uint8_t reason) {
  uint32_t levels = 0;
  for (uint8_t i = 0; i < pin_count; i++)
    if (level(pin_list[i])) levels |= 1UL << i;
  uint8_t flags = (armed ? FLAG_ARMED : 0) | (tripped ? FLAG_TRIPPED : 0) | (reset_cause & _BV(WDRF) ? FLAG_WATCHDOG : 0);
  send(START_SYSEX);
  send(RELAY);
  uint16_t crc = send_checked(0xFFFF, REPORT);
  crc = send_checked(crc, sequence);
  crc = send_checked(crc, reason);
  crc = send_checked(crc, flags);
  crc = send_checked(crc, session & 0x7F);
  crc = send_checked(crc, session >> 7);
  crc = send_checked(crc, pin_count);
  crc = send_checked(crc, levels & 0x7F);
  crc = send_checked(crc, levels >> 7 & 0x7F);
  crc = send_checked(crc, levels >> 14 & 0x7F);
  send(crc & 0x7F);
  send(crc >> 7 & 0x7F);
  send(crc >> 14);
  send(END_SYSEX);
}

static void disarm(void) {
  open_all();
  armed = 0;
}

/* ARM sequence session(2) ms(2) count, then pin and use of each. */
static uint8_t arm(const uint8_t *data, uint8_t length) {
  uint16_t ms = data[3] | (uint16_t)data[4] << 7;
  uint8_t count = data[5];
  disarm();
  if (count == 0 || count > PINS_AT_MOST || length != 6 + 2 * count || ms < SHORTEST_MS || ms > LONGEST_MS)
    return BAD_ARMING;
  uint8_t seen[PORTS] = {0}, outputs[PORTS] = {0}, high[PORTS] = {0}, pulled[PORTS] = {0};
  for (uint8_t i = 0; i < count; i++) {
    uint8_t pin = data[6 + 2 * i], use = data[7 + 2 * i], p = port_index(pin), mask;
    if (pin < FIRST_PIN || pin >= PINS || use > WATCHED_PULLUP) return BAD_ARMING;
    mask = pin_mask(pin);
    if (seen[p] & mask) return BAD_ARMING;
    seen[p] |= mask;
    if (use <= CLOSED_HIGH) outputs[p] |= mask;
    if (use == CLOSED_HIGH) high[p] |= mask;
    if (use == WATCHED_PULLUP) pulled[p] |= mask;
  }
  cli();
  for (uint8_t p = 0; p < PORTS; p++) {
    /* A relay's pin of the arming before becomes an input, but where it is one again. */
    uint8_t inputs = (relays[p] | seen[p]) & ~outputs[p];
    *ddr_of[p] &= ~inputs;
    *port_of[p] = (*port_of[p] & ~inputs) | pulled[p];
    relays[p] = outputs[p];
    closes_high[p] = high[p];
  }
  drive();
  tripped = trip_untold = 0;
  sei();
  for (uint8_t i = 0; i < count; i++) pin_list[i] = data[6 + 2 * i];
  pin_count = count;
  session = data[1] | (uint16_t)data[2] << 7;
  dead_man_ms = ms;
  armed = 1;
  /* The pins' levels are seen two cycles after they are written. */
  _delay_loop_1(3);
  return DONE;
}

/* SWITCH sequence session(2) pin position: renews a closed contact, or opens one. */
static uint8_t switch_to(const uint8_t *data) {
  uint8_t pin = data[3], reason = DONE, p, mask;
  if (!armed) return NOT_ARMED;
  if (session != (data[1] | (uint16_t)data[2] << 7)) return OTHER_SESSION;
  if (pin < FIRST_PIN || pin >= PINS || data[4] > 1) return NO_SUCH_PIN;
  p = port_index(pin);
  mask = pin_mask(pin);
  if (!(relays[p] & mask)) return NO_SUCH_PIN;
  cli();
  if (data[4] == 0)
    closed[p] &= ~mask;
  else if (tripped)
    reason = TRIPPED;
  else {
    left_ms[pin] = dead_man_ms;
    closed[p] |= mask;
  }
  drive();
  sei();
  _delay_loop_1(3);
  return reason;
}

/* RELAY op sequence ... check(3) */
static void relay_message(const uint8_t *data, uint8_t length) {
  uint16_t crc = 0xFFFF;
  if (length < 5) return;
  length -= 3;
  for (uint8_t i = 0; i < length; i++) crc = _crc16_update(crc, data[i]);
  if (data[length] != (crc & 0x7F) || data[length + 1] != (crc >> 7 & 0x7F) || data[length + 2] != crc >> 14) return;
  uint8_t op = data[0], sequence = data[1];
  /* From here on a length is the operation's own. */
  data++;
  length--;
  if (op == ARM && length >= 6)
    report(sequence, arm(data, length));
  else if (op == SWITCH && length == 5)
    report(sequence, switch_to(data));
  else if (op == LOOK && length == 1)
    report(sequence, DONE);
}

static void answer_pin_state(uint8_t pin) {
  uint8_t mode = MODE_IGNORE, state = 0;
  if (pin >= FIRST_PIN && pin < PINS) {
    uint8_t p = port_index(pin), mask = pin_mask(pin);
    /* Firmata: of an output its level, of an input whether it is pulled up. */
    if (*ddr_of[p] & mask) {
      mode = MODE_OUTPUT;
      state = level(pin);
    } else {
      state = (*port_of[p] & mask) != 0;
      mode = state ? MODE_PULLUP : MODE_INPUT;
    }
  }
  send(START_SYSEX);
  send(PIN_STATE_RESPONSE);
  send(pin);
  send(mode);
  send(state);
  send(END_SYSEX);
}

/* A pin that drives no relay may be an input, pulled up or not. No pin becomes an output so. */
static void set_pin_mode(uint8_t pin, uint8_t mode) {
  if (pin < FIRST_PIN || pin >= PINS || (mode != MODE_INPUT && mode != MODE_PULLUP)) return;
  uint8_t p = port_index(pin), mask = pin_mask(pin);
  cli();
  if (!(relays[p] & mask)) {
    *ddr_of[p] &= ~mask;
    if (mode == MODE_PULLUP)
      *port_of[p] |= mask;
    else
      *port_of[p] &= ~mask;
  }
  sei();
}

/* Firmata's own way to write eight pins at once has no check: it opens contacts and never closes one. */
static void digital_message(uint8_t eights, uint8_t low, uint8_t high) {
  uint8_t bits = low | high << 7;
  cli();
  for (uint8_t i = 0; i < 8; i++) {
    uint8_t pin = eights * 8 + i;
    if (pin < FIRST_PIN || pin >= PINS) continue;
    uint8_t p = port_index(pin), mask = pin_mask(pin);
    if (((bits >> i) & 1) != ((closes_high[p] & mask) != 0)) closed[p] &= ~mask;
  }
  drive();
  sei();
}

static void sysex(void) {
  if (message_length == 2 && message[1] == REPORT_FIRMWARE)
    send_firmware();
  else if (message_length == 3 && message[1] == PIN_STATE_QUERY)
    answer_pin_state(message[2]);
  else if (message_length > 2 && message[1] == RELAY)
    relay_message(message + 2, message_length - 2);
}

/* message[0] is the command under way, 0 for none; `awaited` counts the data bytes that a short one still lacks. */
static void hear(uint8_t byte) {
  if (byte < 0x80) {
    if (message[0] == 0) return;
    if (message_length == MESSAGE_BYTES) {
      message[0] = 0; /* overlong: the rest is skipped up to the next command */
      return;
    }
    message[message_length++] = byte;
    if (message[0] == START_SYSEX || --awaited > 0) return;
    if (message[0] == SET_PIN_MODE)
      set_pin_mode(message[1], message[2]);
    else
      digital_message(message[0] & 0x0F, message[1], message[2]);
    message[0] = 0;
    return;
  }
  uint8_t was = message[0];
  message[0] = 0;
  if (byte == END_SYSEX && was == START_SYSEX)
    sysex();
  else if (byte == REPORT_VERSION)
    send_version();
  else if (byte == SYSTEM_RESET)
    disarm();
  else if (byte == START_SYSEX || byte == SET_PIN_MODE || (byte & 0xF0) == DIGITAL_MESSAGE) {
    message[0] = byte;
    message_length = 1;
    awaited = 2;
  }
}

int main(void) {
  uint8_t seen_tick = 0;
  /* After the watchdog reset the part it runs on with its shortest time, until the flag is cleared. */
  reset_cause = MCUSR;
  MCUSR = 0;
  wdt_enable(WDTO_120MS);
  for (uint8_t p = 0; p < PORTS; p++) {
    relays[p] = open_high[p] | open_low[p];
    closes_high[p] = open_low[p];
  }
  drive();

  TCCR0A = _BV(WGM01);
  TCCR0B = _BV(CS02);
  OCR0A = F_CPU / 256 * TICK_MS / 1000 - 1;
  TIMSK0 = _BV(OCIE0A);
  /* 57,600 baud less 0.8 %, 8N1 */
  UBRR0 = 34;
  UCSR0A = _BV(U2X0);
  UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
  set_sleep_mode(SLEEP_MODE_IDLE);
  sei();

  send_version();
  send_firmware();
  for (;;) {
    /* Only while the timer's interrupt runs: a part of the program that stands still resets the whole. */
    if (ticks != seen_tick) {
      seen_tick = ticks;
      wdt_reset();
    }
    if (trip_untold) {
      trip_untold = 0;
      report(0, TRIPPED);
    }
    cli();
    if (ring_in == ring_out) {
      sleep_enable();
      sei();
      sleep_cpu();
      sleep_disable();
    } else {
      uint8_t byte = ring[ring_out];
      ring_out = (ring_out + 1) % RING_BYTES;
      sei();
      hear(byte);
    }
  }
}
