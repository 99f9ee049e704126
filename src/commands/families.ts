/** Commands of one noun each, which have files of their own. */
import { offerCommands } from './offers.ts';
import { paymentReceiptCommand } from './payment_receipt.ts';
import { paymentCommands } from './payments.ts';
import { probeCommands } from './probes.ts';
import { providerKeyCommands } from './provider_keys.ts';
import { userCommands } from './users.ts';
import { voucherCommands } from './vouchers.ts';

export const families = {
  ...userCommands,
  ...offerCommands,
  ...probeCommands,
  ...providerKeyCommands,
  ...voucherCommands,
  ...paymentCommands,
  'payment receipt': paymentReceiptCommand,
};
