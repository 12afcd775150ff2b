// stripe-stateful-mock on 127.0.0.1: its own command binds every interface.  usage: node stripe_stateful_mock.mjs PORT
import mock from 'stripe-stateful-mock';
const port = +process.argv[2];
mock.createExpressApp().listen(port, '127.0.0.1', () => console.log('ready', port));
