/** How the stand-in for Nagad refuses. Nagad's own table of reasons is not public: these are invented, and begin with SIM_. */

const refusals = {
  json: [400, 'SIM_4000', 'The body is not a JSON object.'],
  contentType: [400, 'SIM_4001', 'Content-Type must be application/json.'],
  version: [400, 'SIM_4002', 'X-KM-Api-Version must be v-0.2.0.'],
  ip: [400, 'SIM_4003', 'X-KM-IP-V4 must be an IPv4 address.'],
  client: [400, 'SIM_4004', 'X-KM-Client-Type is missing or unknown.'],
  merchant: [400, 'SIM_4005', 'The merchant id is not the one of these keys.'],
  orderId: [400, 'SIM_4006', 'The order id must have 1 to 20 letters and digits.'],
  orderUsed: [400, 'SIM_4007', 'The order id was used before.'],
  time: [400, 'SIM_4008', 'Please verify provided data and try again. Call 16167 for help.'],
  sealMissing: [400, 'SIM_4009', 'The encrypted part or its signature is missing.'],
  decryption: [400, 'SIM_4010', 'Please verify provided data and try again. Call 16167 for help.'],
  signature: [400, 'SIM_4011', 'The signature does not fit the decrypted bytes.'],
  mismatch: [400, 'SIM_4012', 'What is encrypted is not what the address and the body say.'],
  challenge: [400, 'SIM_4013', 'The challenge is missing, or not the one that was given.'],
  reference: [404, 'SIM_4014', 'There is no payment with this reference.'],
  completed: [400, 'SIM_4015', 'This reference was completed before.'],
  currency: [400, 'SIM_4016', 'The currency must be 050.'],
  amount: [400, 'SIM_4017', 'The amount must be positive, with two decimals.'],
  callback: [400, 'SIM_4018', 'merchantCallbackURL must be an absolute address without a query.'],
  info: [400, 'SIM_4019', 'additionalMerchantInfo must be an object.'],
  account: [400, 'SIM_4020', "accountNumber must be the merchant's number."],
  notPaid: [400, 'SIM_4021', 'Only a paid payment can be cancelled.'],
  cancelled: [400, 'SIM_4022', 'This payment was cancelled before.'],
  cancelRequest: [400, 'SIM_4023', 'A field of the cancel request is missing or wrong.'],
  encoding: [
    400,
    'SIM_4024',
    'A part of the address is not URL-encoded, such as the = of a reference.',
  ],
  address: [404, 'SIM_4040', 'There is nothing at this address.'],
  tooLarge: [413, 'SIM_4130', 'The body is too large.'],
  fault: [500, 'SIM_5000', 'The sandbox was told to fail.'],
} as const satisfies Record<string, readonly [status: number, reason: string, message: string]>;

/** What Nagad's developers are told beside the public sentence, as seen in public reports. */
const forDevelopers = 'Error from RPG::::Order request failed. Decryption failed.';

export class NagadRefusal extends Error {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
  constructor(kind: keyof typeof refusals) {
    const [status, reason, message] = refusals[kind];
    super(message);
    this.status = status;
    const decrypting = kind === 'decryption' || kind === 'fault';
    this.body = { reason, message, devMessage: decrypting ? forDevelopers : kind };
  }
}
