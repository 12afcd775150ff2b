"""Make the Stripe document that spec_server.mjs serves: expandable fields collapsed to id strings, response bodies replaced by
the vendor's fixtures (stripe.fixtures.json; optional), request bodies untouched -> strict request validation + canned answers.
usage: stripe_spec_prepare.py SPEC3.json FIXTURES.json|- OUT.json PREFIX..."""
import sys, json
spec,fx,out,*pref=sys.argv[1:]
d=json.load(open(spec)); fixtures=json.load(open(fx))['resources'] if fx!='-' else {}
d['paths']={p:v for p,v in d['paths'].items() if any(p==x or p.startswith(x+'/') for x in pref)}
def collapse(o):
    if isinstance(o,dict):
        if 'x-expansionResources' in o: return {'type':'string','nullable':True}
        return {k:collapse(v) for k,v in o.items()}
    if isinstance(o,list): return [collapse(v) for v in o]
    return o
n=0
for p,ops in d['paths'].items():
    for m,op in ops.items():
        if m not in('get','post','delete'): continue
        for code,r in op.get('responses',{}).items():
            for ct,body in r.get('content',{}).items():
                ref=body.get('schema',{}).get('$ref','')
                name=ref.rsplit('/',1)[-1]
                if name in fixtures: body['schema']={'type':'object'}; body['example']=fixtures[name]; n+=1
                elif name=='error': body['schema']={'type':'object'}; body['example']={'error':{'type':'card_error','code':'card_declined','decline_code':'generic_decline','message':'Your card was declined.'}}
                else: body['schema']={'type':'object'}; body['example']={'object':'list','data':[],'has_more':False,'url':p}
        r=op['responses']; r.pop('default',None); r.setdefault('402',{'description':'card error','content':{'application/json':{'schema':{'type':'object'},'example':{'error':{'type':'card_error','code':'card_declined','message':'Your card was declined.'}}}}})
d=collapse(d)
def walk(o):
    if isinstance(o,dict):
        for k,v in o.items():
            if k=='$ref' and isinstance(v,str): yield v
            else: yield from walk(v)
    elif isinstance(o,list):
        for v in o: yield from walk(v)
comp=d['components']; seen=set(); todo=list(walk(d['paths']))
while todo:
    r=todo.pop()
    if r in seen or not r.startswith('#/components/'): continue
    seen.add(r); _,_,s,nm=r.split('/',3); todo+=list(walk(comp[s][nm]))
d['components']={s:({k:v for k,v in m.items() if f'#/components/{s}/{k}' in seen} if s!='securitySchemes' else m) for s,m in comp.items()}
json.dump(d,open(out,'w')); print(len(d['paths']),'paths,',n,'fixture answers')
